// Mixtral (8x7B, 8x22B): softmax router whose top-k weights are always renormalised, no shared expert, every layer a
// MoE.
#include "families.h"

namespace moesweep {
namespace {

void read(const ConfigReader& json, ModelConfig& config) {
    json.read_optional("sliding_window", config.sliding_window);
    json.read({"num_local_experts", "num_experts"}, config.router.num_experts, most_experts);
    json.read("intermediate_size", config.expert.intermediate_size);
}

void list_moe(TensorList& list, ExpertShare share) {
    list.add_router("block_sparse_moe.gate.weight");
    list.add_experts(share, "block_sparse_moe.experts", {.gate = "w1", .up = "w3", .down = "w2"});
}

}  // namespace

const Family mixtral = {{.model_type = "mixtral",
                         .vocab_size = 32000,
                         .hidden_size = 4096,
                         .num_hidden_layers = 32,
                         .rms_norm_eps = 1e-5,
                         .heads = {.num_attention_heads = 32, .num_key_value_heads = 8},
                         .rope = {.rope_theta = 1e6},
                         .expert = {14336},
                         .router = {.num_experts = 8, .num_experts_per_tok = 2}},
                        read,
                        list_moe};

}  // namespace moesweep
