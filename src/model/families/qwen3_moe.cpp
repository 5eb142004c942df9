// Qwen3-MoE (Qwen3-30B-A3B, Qwen3-235B-A22B): softmax router, QK norm, no shared expert.
#include "families.h"

namespace moesweep {

void describe_qwen3_moe(const ConfigReader& json, ModelConfig& config) {
    config.qkv_bias = config.output_bias = json.get_or("attention_bias", false);
    config.qk_norm = true;
    if (json.get_or("use_sliding_window", false)) config.sliding_window = json.positive("sliding_window");
    config.num_experts = json.positive(json.has("num_experts") ? "num_experts" : "num_local_experts", most_experts);
    config.moe_intermediate_size = json.positive("moe_intermediate_size");
    config.weights_in_model_dtype = true;
    config.norm_topk_prob = json.get_or("norm_topk_prob", false);

    const std::int64_t step = json.positive_or("decoder_sparse_step", 1);
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        config.is_moe[static_cast<std::size_t>(layer)] = (layer + 1) % step == 0;
    for (const Json& layer : json.get_or("mlp_only_layers", Json::array())) {
        if (!layer.is_number_unsigned() || layer >= config.num_hidden_layers)
            json.refuse("mlp_only_layers", "there is no layer {}", layer.dump());
        config.is_moe[layer.get<std::size_t>()] = false;
    }
    for (const bool moe : config.is_moe)
        if (!moe) config.intermediate_size = json.positive("intermediate_size");
}

}  // namespace moesweep
