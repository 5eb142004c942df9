// One decoder layer on rows of hidden states [N, D], cut into the steps between which a caller does its own: it attends
// with the keys that its rows see (attention.h), sends rows to the experts (experts.h), looks at what comes back.
//
//     heads  = layer.project_heads(hidden, rotary, positions)
//     hidden = layer.add_attention(hidden, mix of heads)
//     hidden = layer.add_dense(hidden)                                            in a dense layer
//     input  = layer.enter_moe(hidden)                                            in a MoE layer
//     hidden = layer.add(hidden, combine(moe, input.routing, contributions, input.x))
#pragma once
#include <ATen/core/Tensor.h>

#include "moesweep/config/config.h"
#include "moesweep/model/layer_weights.h"
#include "moesweep/model/model_config.h"
#include "moesweep/model/rotary.h"
#include "moesweep/model/router.h"

namespace moesweep {

/// What goes into a MoE block, and where it goes.
struct MoeInput {
    at::Tensor x;  ///< [N, D], normed
    Routing routing;
};

/// Refers to what it is made of.
struct DecoderLayer {
    const ModelConfig& config;
    const LayerWeights& weights;
    Precision precision;

    /// The queries, keys and values of hidden states [N, D]: [N, H + 2 Hkv, Dh]. Queries and keys are normed where the
    /// model does so, and rotated by their rows' positions [N].
    at::Tensor project_heads(const at::Tensor& hidden, const Rotary& rotary, const at::Tensor& positions) const;
    /// Adds the projection of the mixed values [N, H Dh].
    at::Tensor add_attention(const at::Tensor& hidden, const at::Tensor& mixed) const;

    at::Tensor add_dense(const at::Tensor& hidden) const;
    MoeInput enter_moe(const at::Tensor& hidden, const Deactivated& deactivated = {}) const;

    /// hidden + output, both [N, D].
    at::Tensor add(const at::Tensor& hidden, const at::Tensor& output) const;

  private:
    at::Tensor norm(const at::Tensor& hidden, const at::Tensor& weight) const;
};

}  // namespace moesweep
