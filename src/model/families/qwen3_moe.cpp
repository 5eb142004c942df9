// Qwen3-MoE (Qwen3-30B-A3B, Qwen3-235B-A22B): softmax router, QK norm, no shared expert.
#include "families.h"

namespace moesweep {
namespace {

void read(const ConfigReader& json, ModelConfig& config) {
    json.read("attention_bias", config.heads.qkv_bias);
    config.heads.output_bias = config.heads.qkv_bias;
    bool use_sliding_window = false;
    json.read("use_sliding_window", use_sliding_window);
    if (use_sliding_window) {
        config.sliding_window = 4096;
        json.read_optional("sliding_window", config.sliding_window);
    }
    json.read({"num_experts", "num_local_experts"}, config.router.num_experts, most_experts);
    json.read("moe_intermediate_size", config.expert.intermediate_size);
    json.read("intermediate_size", config.dense.intermediate_size);
    json.read("norm_topk_prob", config.router.norm_topk_prob);

    std::int64_t step = 1;
    json.read("decoder_sparse_step", step);
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        config.is_moe[static_cast<std::size_t>(layer)] = (layer + 1) % step == 0;
    for (const Json& layer : json.list("mlp_only_layers")) {
        if (!layer.is_number_unsigned() || layer >= config.num_hidden_layers)
            json.refuse("mlp_only_layers", "there is no layer {}", layer.dump());
        config.is_moe[layer.get<std::size_t>()] = false;
    }
}

void list_moe(TensorList& list, ExpertShare share) {
    list.add_router("mlp.gate.weight");
    list.add_experts(share, "mlp.experts");
}

}  // namespace

const Family qwen3_moe = {
    {.model_type = "qwen3_moe",
     .vocab_size = 151936,
     .hidden_size = 2048,
     .num_hidden_layers = 24,
     .rms_norm_eps = 1e-6,
     .heads = {.num_attention_heads = 32, .num_key_value_heads = 4, .qk_norm = true},
     .rope = {.rope_theta = 1e4},
     .dense = {6144},
     .expert = {768},
     .router = {.num_experts = 128, .num_experts_per_tok = 8, .norm_topk_prob = false, .weights_in_model_dtype = true}},
    read,
    list_moe};

}  // namespace moesweep
