// Arithmetic on rows of hidden states [N, D], on whatever device the tensors are. A row's result does not depend on the
// other rows or on its place among them: every matrix product runs in tiles of one fixed number of rows (the last one
// padded), so its shape, and with it the order of its sums, is always the same.
#pragma once
#include <ATen/core/Tensor.h>

#include "moesweep/config/config.h"
#include "moesweep/model/layer_weights.h"

namespace moesweep {

// Products are of fp32 numbers (fp64 in that precision), for which a matrix in bf16 is widened block by block; that is
// exact. Whether what meets it is rounded to bf16, the precision says (config.h): in split it is not, so its numbers
// are those of fp32. Hopper's tensor cores make the same products of bf16 terms (src/model/kernels/tensors.h).

/// x as the precision keeps results: in parity rounded to bf16, in the dtype that it has; in all others x itself.
at::Tensor rounded(const at::Tensor& x, Precision precision);

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

/// a [N, D] . b[which] in double: [N], with b [n, D] in double and which [N].
at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which);

/// Norms over the last dimension, in double.
at::Tensor row_norms(const at::Tensor& x);

}  // namespace moesweep
