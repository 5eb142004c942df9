// The kernels on tensors of a device that is not the CPU. What each does stands in row_kernels.h and grouped_product.h.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/model/layer_weights.h"
#include "row_kernels.h"

namespace moesweep::kernels {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, Precision precision);

/// The sizes of queries, keys and values [N, H + 2 Hkv, Dh].
Heads heads_of(const at::Tensor& qkv, std::int64_t heads, std::int64_t kv_heads);

/// In place on qkv [N, H + 2 Hkv, Dh]. Undefined norms: none. cos, sin [positions, half], of which each row has one.
void norm_and_rotate(const at::Tensor& qkv, const Heads& heads, const at::Tensor& q_norm, const at::Tensor& k_norm,
                     double eps, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions,
                     Precision precision);

/// kv [contexts' rows, 2 Hkv, Dh]; first, count [N] int32: [N - begin, H Dh].
at::Tensor attend(const at::Tensor& qkv, const Heads& heads, std::int64_t begin, const at::Tensor& kv,
                  const at::Tensor& first, const at::Tensor& count, std::int64_t most, Precision precision);

/// Whether multiply() can take this matrix [out, in]: bf16, on a device, of sizes that suit it.
bool can_multiply(const at::Tensor& weight);
/// Whether feed_forward() can take experts of these matrices.
bool can_multiply(const Mlp& mlp);

// What meets a bf16 matrix: terms [n, N, in] in bf16 whose sum over n the activations are, to the last bit in `split`
// (n = 3), and to bf16's precision in the others (n = 1). A product of two bf16 numbers is exact in fp32.

/// Rows source[i] of x [N, D] (all in order if undefined) as terms.
at::Tensor split(const at::Tensor& x, const at::Tensor& source, Precision precision);
/// silu(gate) * up of gate_up [N, 2F] as terms [n, N, F].
at::Tensor swiglu(const at::Tensor& gate_up, Precision precision);

/// The rows offsets[g] to offsets[g + 1] times weights[g] [out, in] transposed: [N, out] fp32. offsets [groups + 1]
/// int32.
at::Tensor multiply(const at::Tensor& terms, const std::vector<at::Tensor>& weights, const at::Tensor& offsets);

/// The SwiGLU feed-forwards of several experts, each over its rows: terms [n, N, D] -> [N, D].
at::Tensor feed_forward(std::span<const Mlp> experts, const at::Tensor& terms, const at::Tensor& offsets,
                        Precision precision);

/// Group offsets of `rows` rows that all belong to one group.
at::Tensor one_group(std::int64_t rows, c10::Device device);

/// w_e E_e(x) to their slots: y [S, D] and slots [S], weights [S] by slot: [S, D] by slot.
at::Tensor weigh(const at::Tensor& y, const at::Tensor& slots, const at::Tensor& weights, Precision precision);

/// x [N, K, D] summed over K in order: [N, D].
at::Tensor sum_slots(const at::Tensor& x, Precision precision);

/// a [N, D] . b[which] in double: [N]; which undefined: b's own rows.
at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which);

}  // namespace moesweep::kernels
