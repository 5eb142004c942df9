// The arithmetic of one decoder layer on rows of hidden states [N, D], on whatever device the tensors are. A row's
// result does not depend on the other rows or on its place among them: every matrix product runs in tiles of one fixed
// number of rows (the last one padded), so its shape, and with it the order of its sums, is always the same.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <span>

#include "moesweep/model/model_config.h"
#include "moesweep/model/weights.h"

namespace moesweep {

// Products are of fp32 numbers (fp64 in that precision), for which a matrix in bf16 is widened block by block; that is
// exact. Whether what meets it is rounded to bf16, the precision says (config.h): in split it is not, so its numbers
// are those of fp32. Hopper's tensor cores make the same products of bf16 terms (src/model/kernels/tensors.h).

/// x as parity holds it: rounded to bf16, in the dtype that it has. In other precisions x itself.
at::Tensor held(const at::Tensor& x, Precision precision);

/// Rows of every matrix product that is a library's, on the CPU and elsewhere. Libraries pick their kernels by shape,
/// so these numbers never vary. The larger is a multiple of 12, for the CPU's own kernels that a stand-in for a device
/// meets (see attention.cpp). Products with bf16 matrices on a GPU are made by a kernel of ours that needs no such
/// care.
inline constexpr std::int64_t row_tile = 64, device_row_tile = 768;

/// x [N, in] times weight [out, in] transposed, plus bias [out] if defined: [N, out].
at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Precision precision);

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, Precision precision);

/// SwiGLU feed-forward: [N, D] -> [N, D].
at::Tensor feed_forward(const Mlp& mlp, const at::Tensor& x, Precision precision);

/// Cosines and sines of the rotary position embedding for positions [0, length): each [length, rotary_dim / 2].
struct Rotary {
    at::Tensor cos, sin;
    Precision precision;
    Rotary(const ModelConfig& config, std::int64_t length, Precision precision, c10::Device device = at::kCPU);
    /// Rotates the leading rotary_dim of every head of x [N, heads, Dh] by its row's position [N].
    at::Tensor rotate(const at::Tensor& x, const at::Tensor& positions) const;
};

/// The K experts of each row by descending weight.
struct Routing {
    at::Tensor experts;  ///< [N, K] int64
    at::Tensor weights;  ///< [N, K] w_e
    at::Tensor gap;      ///< [N] selection score of rank K minus rank K+1, +inf where K = E
};
Routing route(const MoeWeights& moe, const ModelConfig& config, const at::Tensor& x);

/// Takes the answers E_e(x) [n, D] of the slots [begin, begin + n).
using UseAnswers = std::function<void(std::int64_t begin, const at::Tensor& answers)>;
/// Runs the experts that a rank holds over slots, which are pairs of a row and an expert sorted by expert: slot_rows
/// [S] are rows of x [N, D], counts the slots of each expert of the share.
void run_experts(const MoeWeights& moe, const at::Tensor& x, const at::Tensor& slot_rows,
                 std::span<const std::int64_t> counts, const UseAnswers& use);

/// c_e = w_e E_e(x) of every routed expert, per slot and not summed: [N, K, D] (paper, eq. 5). All experts must be held
/// here. `between` is called after each expert.
at::Tensor contributions(
    const MoeWeights& moe, const Routing& routing, const at::Tensor& x, const std::function<void()>& between = [] {});

/// w_e E_e(x) from answers [n, D], which are overwritten, and weights [n, 1].
at::Tensor weigh(at::Tensor answers, const at::Tensor& weights, Precision precision);

/// The MoE block's output: contributions summed in slot order (in parity in the order of experts, as transformers
/// does), plus the shared expert: [N, D].
at::Tensor combine(const MoeWeights& moe, const Routing& routing, const at::Tensor& contributions, const at::Tensor& x);

/// a [N, D] . b[which] in double: [N], with b [n, D] in double and which [N].
at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which);

/// Norms over the last dimension, in double.
at::Tensor row_norms(const at::Tensor& x);

}  // namespace moesweep
