// GLM-4.5 (glm4_moe): sigmoid router with a correction bias for selection, expert groups, shared experts, first layers
// dense, partial rotation. Tensors of the next-token-prediction layer (model.layers.L and on) are left alone.
#include <cmath>

#include "families.h"

namespace moesweep {

void describe_glm4_moe(const ConfigReader& json, ModelConfig& config) {
    config.qkv_bias = json.get_or("attention_bias", false);
    config.qk_norm = json.get_or("use_qk_norm", false);
    const double rotated = json.rope("partial_rotary_factor", 0.5);
    if (!(rotated > 0 && rotated <= 1))
        json.refuse("partial_rotary_factor", "expected a number in (0, 1], got {}", rotated);
    config.rotary_dim = static_cast<std::int64_t>(std::floor(static_cast<double>(config.head_dim) * rotated));

    const std::int64_t dense = json.get_or<std::int64_t>("first_k_dense_replace", 1);
    if (dense < 0 || dense > config.num_hidden_layers)
        json.refuse("first_k_dense_replace", "{} of {} layers", dense, config.num_hidden_layers);
    for (std::int64_t layer = 0; layer < dense; ++layer) config.is_moe[static_cast<std::size_t>(layer)] = false;
    if (dense > 0) config.intermediate_size = json.positive("intermediate_size");

    config.num_experts =
        json.positive(json.has("n_routed_experts") ? "n_routed_experts" : "num_local_experts", most_experts);
    config.moe_intermediate_size = json.positive("moe_intermediate_size");
    config.shared_intermediate_size = config.moe_intermediate_size * json.positive_or("n_shared_experts", 1);
    config.router = Router::sigmoid;
    config.norm_topk_prob = json.get_or("norm_topk_prob", true);
    config.routed_scaling_factor = json.get_or("routed_scaling_factor", 1.0);
    config.n_group = json.positive_or("n_group", 1);
    config.topk_group = json.positive_or("topk_group", 1);
    if (config.num_experts % config.n_group != 0 || config.num_experts / config.n_group < 2)
        json.refuse("n_group", "{} experts do not fall into {} groups of two or more", config.num_experts,
                    config.n_group);
    if (config.topk_group > config.n_group)
        json.refuse("topk_group", "{} of {} groups", config.topk_group, config.n_group);
    if (config.num_experts_per_tok > config.num_experts / config.n_group * config.topk_group)
        json.refuse("num_experts_per_tok", "{} experts do not fit into {} groups of {}", config.num_experts_per_tok,
                    config.topk_group, config.num_experts / config.n_group);
}

}  // namespace moesweep
