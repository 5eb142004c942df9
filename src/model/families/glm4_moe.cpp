// GLM-4.5 (glm4_moe): sigmoid router with a correction bias for selection, expert groups, shared experts, first layers
// dense, partial rotation. Tensors of the next-token-prediction layer (model.layers.L and on) are left alone.
#include <cmath>

#include "families.h"

namespace moesweep {
namespace {

void read(const ConfigReader& json, ModelConfig& config) {
    json.read("attention_bias", config.heads.qkv_bias);
    json.read("use_qk_norm", config.heads.qk_norm);
    double rotated = 0.5;
    json.read_rope("partial_rotary_factor", rotated);
    if (!(rotated > 0 && rotated <= 1))
        json.refuse("partial_rotary_factor", "expected a number in (0, 1], got {}", rotated);
    config.rope.rotary_dim =
        static_cast<std::int64_t>(std::floor(static_cast<double>(config.heads.head_dim) * rotated));

    const auto dense = json.get_or<std::int64_t>("first_k_dense_replace", 1);
    if (dense < 0 || dense > config.num_hidden_layers)
        json.refuse("first_k_dense_replace", "{} of {} layers", dense, config.num_hidden_layers);
    for (std::int64_t layer = 0; layer < dense; ++layer) config.is_moe[static_cast<std::size_t>(layer)] = false;
    json.read("intermediate_size", config.dense.intermediate_size);

    json.read({"n_routed_experts", "num_local_experts"}, config.router.num_experts, most_experts);
    json.read("moe_intermediate_size", config.expert.intermediate_size);
    std::int64_t shared = 1;
    json.read("n_shared_experts", shared);
    config.shared_expert.intermediate_size = config.expert.intermediate_size * shared;
    json.read("norm_topk_prob", config.router.norm_topk_prob);
    json.read("routed_scaling_factor", config.router.routed_scaling_factor);
    json.read("n_group", config.router.n_group);
    json.read("topk_group", config.router.topk_group);
}

void list_moe(TensorList& list, ExpertShare share) {
    const ModelConfig& config = list.config();
    list.add_router("mlp.gate.weight");
    list.add(Slot::correction_bias, "mlp.gate.e_score_correction_bias", {config.router.num_experts});
    list.add_experts(share, "mlp.experts");
    list.add_swiglu(Slot::shared_gate_up, Slot::shared_down, "mlp.shared_experts",
                    config.shared_expert.intermediate_size);
}

}  // namespace

const Family glm4_moe = {{.model_type = "glm4_moe",
                          .vocab_size = 151552,
                          .hidden_size = 4096,
                          .num_hidden_layers = 46,
                          .rms_norm_eps = 1e-5,
                          .heads = {.num_attention_heads = 96, .num_key_value_heads = 8},
                          .rope = {.rope_theta = 1e4},
                          .dense = {10944},
                          .expert = {1408},
                          .router = {.num_experts = 128, .num_experts_per_tok = 8, .score = Score::sigmoid}},
                         read,
                         list_moe};

}  // namespace moesweep
