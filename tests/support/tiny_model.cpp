#include "tiny_model.h"

#include <c10/util/BFloat16.h>

#include <fstream>
#include <random>

#include "moesweep/model/model_tensors.h"

namespace moesweep {

Json tiny_config(const std::string& family) {
    Json json = {{"model_type", family},   {"vocab_size", 61},         {"hidden_size", 32},
                 {"num_hidden_layers", 4}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
                 {"head_dim", 8},          {"rms_norm_eps", 1e-5},     {"rope_theta", 1000.0},
                 {"hidden_act", "silu"},   {"num_experts_per_tok", 3}, {"intermediate_size", 24}};
    if (family == "qwen3_moe") {
        json.update(
            {{"num_experts", 6}, {"moe_intermediate_size", 16}, {"norm_topk_prob", true}, {"mlp_only_layers", {1}}});
    } else if (family == "mixtral") {
        json.update({{"num_local_experts", 5}, {"num_experts_per_tok", 2}, {"tie_word_embeddings", true}});
    } else {
        json.update({{"n_routed_experts", 8},
                     {"moe_intermediate_size", 12},
                     {"n_shared_experts", 2},
                     {"n_group", 4},
                     {"topk_group", 2},
                     {"first_k_dense_replace", 1},
                     {"partial_rotary_factor", 0.5},
                     {"use_qk_norm", true},
                     {"attention_bias", true},
                     {"routed_scaling_factor", 1.7},
                     {"norm_topk_prob", true}});
    }
    return json;
}

TinyModel write_tiny_model(const std::filesystem::path& folder, const Json& config_json, unsigned seed) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "config.json") << config_json.dump(2);
    TinyModel model{read_model_config(folder), {}};

    std::mt19937 random(seed);
    Json header = Json::object();
    std::string data;
    for (const auto& [name, shape, elsewhere] : expected_tensors(model.config)) {
        if (name == "lm_head.weight" && elsewhere) continue;  // tied
        const bool norm = name.ends_with("norm.weight"), bias = name.ends_with("bias");
        std::int64_t count = 1;
        for (const auto extent : shape) count *= extent;
        const double spread = norm ? 0.3 : bias ? 0.2 : 1.5 / std::sqrt(static_cast<double>(shape.back()));
        std::normal_distribution<double> normal(norm ? 1.0 : 0.0, spread);
        auto& values = model.tensors[name];
        const std::size_t begin = data.size();
        for (std::int64_t i = 0; i < count; ++i) {
            const c10::BFloat16 value(static_cast<float>(normal(random)));
            values.push_back(static_cast<float>(value));
            data.append(reinterpret_cast<const char*>(&value.x), sizeof value.x);
        }
        header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    }
    const std::string text = header.dump();
    const auto length = static_cast<std::uint64_t>(text.size());
    std::ofstream file(folder / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text << data;
    return model;
}

}  // namespace moesweep
