// Rotary position embedding.
#pragma once
#include <ATen/core/Tensor.h>

#include "moesweep/config/config.h"
#include "moesweep/model/model_config.h"

namespace moesweep {

/// Cosines and sines of the rotary position embedding for positions [0, length): each [length, rotary_dim / 2].
struct Rotary {
    at::Tensor cos, sin;
    Precision precision;
    Rotary(const Rope& rope, std::int64_t length, Precision precision, c10::Device device = at::kCPU);
    /// Rotates the leading rotary_dim of every head of x [N, heads, Dh] by its row's position [N]: dimension i with
    /// i + rotary_dim / 2, by the angle position / rope_theta^(2 i / rotary_dim).
    at::Tensor rotate(const at::Tensor& x, const at::Tensor& positions) const;
};

}  // namespace moesweep
