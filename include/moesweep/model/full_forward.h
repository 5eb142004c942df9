// Whole prompts through all layers, every position of them.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/model/layer_source.h"

namespace moesweep {

/// The hidden states [T, D] of all tokens of the prompts, one prompt after the other, behind the last layer. The source
/// must hold all experts. No prompt is empty. The states of a prompt do not depend on the others, and those of its last
/// token have the bits of a base run in a layer pass.
at::Tensor full_forward(const Weights& weights, LayerSource& layers,
                        std::span<const std::vector<std::int32_t>> prompts);

/// Scores of the whole vocabulary for hidden states [N, D] behind the last layer: [N, V]. Reads all of the output head.
at::Tensor logits(const Weights& weights, const at::Tensor& hidden);

}  // namespace moesweep
