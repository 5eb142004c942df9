// Mixtral (8x7B, 8x22B): softmax router whose top-k weights are always renormalised, no shared expert, every layer a MoE.
#include "families.h"

namespace moesweep {

void describe_mixtral(const ConfigReader& json, ModelConfig& config) {
    config.sliding_window = json.positive_or("sliding_window", 0);
    config.num_experts =
        json.positive(json.has("num_local_experts") ? "num_local_experts" : "num_experts", most_experts);
    config.moe_intermediate_size = json.positive("intermediate_size");
    config.names.router = "block_sparse_moe.gate.weight";
    config.names.gate = "block_sparse_moe.experts.{}.w1.weight";
    config.names.up = "block_sparse_moe.experts.{}.w3.weight";
    config.names.down = "block_sparse_moe.experts.{}.w2.weight";
}

}  // namespace moesweep
