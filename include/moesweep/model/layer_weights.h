// The weights of one decoder layer as tensors, in the precision of the run and on its device.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/model/expert_share.h"

namespace moesweep {

/// A SwiGLU feed-forward: down(silu(gate x) * up x).
struct Mlp {
    at::Tensor gate_up;  ///< [2F, D], gate above up
    at::Tensor down;     ///< [D, F]
};

struct MoeWeights {
    Precision precision = Precision::fp32;
    at::Tensor router;           ///< [E, D]
    at::Tensor correction_bias;  ///< [E], undefined but for the sigmoid router
    std::int64_t first_expert = 0;
    std::vector<Mlp> experts;  ///< those of the share: experts[e - first_expert] is expert e
    std::optional<Mlp> shared;
};

struct LayerWeights {
    at::Tensor input_norm, post_attention_norm;  ///< [D]
    at::Tensor qkv, qkv_bias;                    ///< [(H + 2 Hkv) Dh, D], [(H + 2 Hkv) Dh] or undefined
    at::Tensor output, output_bias;              ///< [D, H Dh], [D] or undefined
    at::Tensor q_norm, k_norm;                   ///< [Dh] or undefined
    std::optional<Mlp> dense;                    ///< exactly one of dense and moe
    std::optional<MoeWeights> moe;
};

/// The dtype of activations, norms, biases and routers: fp32 or fp64.
at::ScalarType activation_dtype(Precision precision);

}  // namespace moesweep
