#include "moesweep/model/model_config.h"

#include <cmath>

#include "families/families.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

/// What every family calls by the same name.
void read_common(const ConfigReader& json, ModelConfig& config) {
    json.read("vocab_size", config.vocab_size);
    json.read("hidden_size", config.hidden_size);
    json.read({"num_hidden_layers"}, config.num_hidden_layers, most_layers);
    json.read("num_attention_heads", config.heads.num_attention_heads);
    json.read("num_key_value_heads", config.heads.num_key_value_heads);
    json.read_optional("head_dim", config.heads.head_dim);
    if (config.heads.head_dim == 0) {
        if (config.hidden_size % config.heads.num_attention_heads != 0)
            json.refuse("num_attention_heads", "{} does not divide hidden_size {}", config.heads.num_attention_heads,
                        config.hidden_size);
        config.heads.head_dim = config.hidden_size / config.heads.num_attention_heads;
    }
    config.rope.rotary_dim = config.heads.head_dim;
    json.read("rms_norm_eps", config.rms_norm_eps);
    json.read("tie_word_embeddings", config.tie_word_embeddings);
    json.read_rope("rope_theta", config.rope.rope_theta);
    json.read("num_experts_per_tok", config.router.num_experts_per_tok);
    config.is_moe.assign(static_cast<std::size_t>(config.num_hidden_layers), true);
}

/// What would make transformers compute something else than the layers here do.
void refuse_other_models(const ConfigReader& json) {
    const auto act = json.get_or<std::string>("hidden_act", "silu");
    if (act != "silu" && act != "swish") json.refuse("hidden_act", "'{}' is not supported, expected silu", act);
    for (const char* key : {"quantization_config", "compression_config"})
        if (json.has(key)) json.refuse(key, "quantised weights are not supported");
    if (!json.get_or("is_causal", true)) json.refuse("is_causal", "attention to later tokens is not supported");
    if (json.has("per_layer_config")) json.refuse("per_layer_config", "layers that differ are not supported");
    for (const Json& type : json.list("layer_types"))
        if (!type.is_string() || type.get_ref<const std::string&>() != "full_attention")
            json.refuse("layer_types", "{} is not supported, expected \"full_attention\"", type.dump());
}

void check_router(const ConfigReader& json, const Router& router, std::int64_t layers) {
    const auto& [experts, chosen, score, norm, dtype, scale, groups, best_groups] = router;
    if (chosen > experts) json.refuse("num_experts_per_tok", "{} of only {} experts", chosen, experts);
    if (experts * layers > most_experts_of_all_layers)
        json.refuse("num_experts", "{} in each of {} layers, expected at most {} in all", experts, layers,
                    most_experts_of_all_layers);
    if (groups == 1 && best_groups == 1) return;
    if (experts % groups != 0 || experts / groups < 2)
        json.refuse("n_group", "{} experts do not fall into {} groups of two or more", experts, groups);
    if (best_groups > groups) json.refuse("topk_group", "{} of {} groups", best_groups, groups);
    if (chosen > experts / groups * best_groups)
        json.refuse("num_experts_per_tok", "{} experts do not fit into {} groups of {}", chosen, best_groups,
                    experts / groups);
}

void check(const ConfigReader& json, const ModelConfig& config) {
    const Heads& heads = config.heads;
    const Rope& rope = config.rope;
    if (heads.num_attention_heads % heads.num_key_value_heads != 0)
        json.refuse("num_key_value_heads", "{} does not divide num_attention_heads {}", heads.num_key_value_heads,
                    heads.num_attention_heads);
    check_router(json, config.router, config.num_hidden_layers);
    if (rope.rotary_dim % 2 != 0 || rope.rotary_dim < 2 || rope.rotary_dim > heads.head_dim)
        json.refuse("head_dim", "{} of {} head dimensions cannot be rotated", rope.rotary_dim, heads.head_dim);
    if (!(config.rms_norm_eps > 0) || !std::isfinite(config.rms_norm_eps)) json.refuse("rms_norm_eps", "must be > 0");
    if (!(rope.rope_theta > 0) || !std::isfinite(rope.rope_theta)) json.refuse("rope_theta", "must be > 0");
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& model_folder) {
    if (const auto adapter = model_folder / "adapter_config.json"; std::filesystem::exists(adapter))
        fail(Exit::data,
             "{}: a PEFT adapter is not applied; merge it into the weights, or remove this file if they hold it",
             adapter.string());
    const auto path = model_folder / "config.json";
    return parse_model_config(parse_json(read_file(path), path.string()), path.string());
}

ModelConfig parse_model_config(const Json& json, const std::string& file) {
    const ConfigReader reader(json, file);
    const auto model_type = get_field<std::string>(json, "model_type", file);
    const Family* family = find_family(model_type);
    if (!family) reader.refuse("model_type", "'{}' is not supported, expected one of {}", model_type, family_names());
    ModelConfig config = family->defaults;
    read_common(reader, config);
    family->read(reader, config);
    refuse_other_models(reader);
    check(reader, config);
    return config;
}

std::vector<std::pair<std::string, std::string>> architecture(const ModelConfig& c) {
    std::vector<std::pair<std::string, std::string>> all = {{"model_type", c.model_type}};
    const auto add = [&](const char* name, const auto& value) { all.emplace_back(name, fmt::format("{}", value)); };
    add("vocab_size", c.vocab_size);
    add("hidden_size", c.hidden_size);
    add("num_hidden_layers", c.num_hidden_layers);
    add("rms_norm_eps", c.rms_norm_eps);
    add("tie_word_embeddings", c.tie_word_embeddings);
    add("num_attention_heads", c.heads.num_attention_heads);
    add("num_key_value_heads", c.heads.num_key_value_heads);
    add("head_dim", c.heads.head_dim);
    add("rotary_dim", c.rope.rotary_dim);
    add("rope_theta", c.rope.rope_theta);
    add("qkv_bias", c.heads.qkv_bias);
    add("output_bias", c.heads.output_bias);
    add("qk_norm", c.heads.qk_norm);
    std::string dense;
    for (std::size_t l = 0; l < c.is_moe.size(); ++l)
        if (!c.is_moe[l]) dense += fmt::format("{}{}", dense.empty() ? "" : ",", l);
    add("dense_layers", dense.empty() ? "none" : dense);
    add("intermediate_size", c.dense.intermediate_size);
    add("moe_intermediate_size", c.expert.intermediate_size);
    add("num_experts", c.router.num_experts);
    add("num_experts_per_tok", c.router.num_experts_per_tok);
    add("shared_intermediate_size", c.shared_expert.intermediate_size);
    add("router", c.router.score == Score::softmax ? "softmax" : "sigmoid");
    add("norm_topk_prob", c.router.norm_topk_prob);
    add("weights_in_model_dtype", c.router.weights_in_model_dtype);
    add("routed_scaling_factor", c.router.routed_scaling_factor);
    add("n_group", c.router.n_group);
    add("topk_group", c.router.topk_group);
    return all;
}

}  // namespace moesweep
