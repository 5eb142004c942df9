// The tensors of a checkpoint, as the model's family stores them (src/model/families/). All that looks for tensors
// walks these lists: checking, reading, the plan of memory, inspect.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/model/expert_share.h"
#include "moesweep/model/model_config.h"

namespace moesweep {

/// A tensor that a checkpoint of an architecture must hold, under its name or elsewhere.
struct ExpectedTensor {
    std::string name;
    std::vector<std::int64_t> shape;

    /// Another stored tensor of which it is a part, where parts are as many elements in their order as its shape has:
    /// all of a tied matrix, a slice of fused experts.
    struct Elsewhere {
        std::string name;
        std::vector<std::int64_t> shape;
        std::int64_t part = 0;
    };
    std::optional<Elsewhere> elsewhere = {};
};

/// Where a layer's tensors go: the members of LayerWeights (layer_weights.h).
enum class Slot {
    input_norm,
    post_attention_norm,
    qkv,
    qkv_bias,
    output,
    output_bias,
    q_norm,
    k_norm,
    dense_gate_up,
    dense_down,
    router,
    correction_bias,
    expert_gate_up,
    expert_down,
    shared_gate_up,
    shared_down,
};

/// A stored tensor of a layer. Those of one slot and expert lie there below each other, in the order of the list.
struct LayerTensor {
    Slot slot;
    std::int64_t expert;  ///< -1 but in the experts' slots
    ExpectedTensor stored;
};
/// All of a layer with the experts of a share.
std::vector<LayerTensor> layer_tensors(const ModelConfig& config, std::int64_t layer, ExpertShare share);

/// What is not of a layer.
struct EndTensors {
    ExpectedTensor embedding, final_norm, head;
};
EndTensors end_tensors(const ModelConfig& config);

/// All of a model.
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

/// The layer that a stored tensor's name speaks of, which may be beyond the last.
std::optional<std::int64_t> layer_named_by(const std::string& name);

}  // namespace moesweep
