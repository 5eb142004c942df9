#include "moesweep/model/model_config.h"

#include <cmath>

#include "families/families.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

constexpr const Family* families[] = {&qwen3_moe, &mixtral, &glm4_moe};

/// What every family calls by the same name.
void read_common(const ConfigReader& json, ModelConfig& config) {
    json.read("vocab_size", config.vocab_size);
    json.read("hidden_size", config.hidden_size);
    json.read({"num_hidden_layers"}, config.num_hidden_layers, most_layers);
    json.read("num_attention_heads", config.num_attention_heads);
    json.read("num_key_value_heads", config.num_key_value_heads);
    json.read_optional("head_dim", config.head_dim);
    if (config.head_dim == 0) {
        if (config.hidden_size % config.num_attention_heads != 0)
            json.refuse("num_attention_heads", "{} does not divide hidden_size {}", config.num_attention_heads,
                        config.hidden_size);
        config.head_dim = config.hidden_size / config.num_attention_heads;
    }
    config.rotary_dim = config.head_dim;
    json.read("rms_norm_eps", config.rms_norm_eps);
    json.read("tie_word_embeddings", config.tie_word_embeddings);
    json.read_rope("rope_theta", config.rope_theta);
    json.read("num_experts_per_tok", config.num_experts_per_tok);
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
        if (type != "full_attention")
            json.refuse("layer_types", "{} is not supported, expected \"full_attention\"", type.dump());
}

void check(const ConfigReader& json, const ModelConfig& config) {
    if (config.num_attention_heads % config.num_key_value_heads != 0)
        json.refuse("num_key_value_heads", "{} does not divide num_attention_heads {}", config.num_key_value_heads,
                    config.num_attention_heads);
    if (config.num_experts_per_tok > config.num_experts)
        json.refuse("num_experts_per_tok", "{} of only {} experts", config.num_experts_per_tok, config.num_experts);
    if (config.num_experts * config.num_hidden_layers > most_experts_of_all_layers)
        json.refuse("num_experts", "{} in each of {} layers, expected at most {} in all", config.num_experts,
                    config.num_hidden_layers, most_experts_of_all_layers);
    if (config.rotary_dim % 2 != 0 || config.rotary_dim < 2 || config.rotary_dim > config.head_dim)
        json.refuse("head_dim", "{} of {} head dimensions cannot be rotated", config.rotary_dim, config.head_dim);
    if (!(config.rms_norm_eps > 0) || !std::isfinite(config.rms_norm_eps)) json.refuse("rms_norm_eps", "must be > 0");
    if (!(config.rope_theta > 0) || !std::isfinite(config.rope_theta)) json.refuse("rope_theta", "must be > 0");
}

}  // namespace

void ConfigReader::read(Names names, std::int64_t& value, std::int64_t most) const {
    const char* first = nullptr;
    for (const char* key : names) {
        if (!json_.contains(key)) continue;
        const auto found = get_or(key, value);
        if (found < 1 || found > most) refuse(key, "expected a whole number from 1 to {}, got {}", most, found);
        if (first && found != value) refuse(key, "{}, but {} is {}", found, first, value);
        first = key;
        value = found;
    }
}

void ConfigReader::read_optional(const char* key, std::int64_t& value) const {
    if (json_.contains(key) && json_.at(key).is_null())
        value = 0;
    else
        read(key, value);
}

Json ConfigReader::list(const std::string& key) const {
    if (!has(key)) return Json::array();
    if (!json_.at(key).is_array()) refuse(key, "expected a list");
    return json_.at(key);
}

void ConfigReader::read_rope(const char* key, double& value) const {
    const std::string newer = "rope_parameters", older = "rope_scaling", place = has(older) ? older : newer;
    if (has(older) && has(newer) && json_.at(older) != json_.at(newer))
        refuse(older, "not the same as {}, expected one of them", newer);
    read(key, value);
    if (!has(place)) return;

    const Json& rope = json_.at(place);
    const std::string where = file_ + ": " + place;
    if (!rope.is_object()) fail(Exit::data, "{}: not an object", where);
    for (const char* type_key : {"rope_type", "type"}) {
        const auto type = rope.contains(type_key) ? get_field<std::string>(rope, type_key, where) : "default";
        if (type != "default") fail(Exit::data, "{}: {}: rope scaling '{}' is not supported", where, type_key, type);
    }
    for (const auto& [name, inner] : rope.items())
        if (inner.is_object()) fail(Exit::data, "{}: {}: a rotation of its own is not supported", where, name);
    if (rope.contains(key)) value = get_field<double>(rope, key, where);  // whatever the top says, as in transformers
}

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
    std::string known;
    for (const Family* family : families) {
        known += (known.empty() ? "" : ", ") + family->defaults.model_type;
        if (model_type != family->defaults.model_type) continue;
        ModelConfig config = family->defaults;
        read_common(reader, config);
        family->read(reader, config);
        refuse_other_models(reader);
        check(reader, config);
        return config;
    }
    reader.refuse("model_type", "'{}' is not supported, expected one of {}", model_type, known);
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& c) {
    const std::int64_t D = c.hidden_size, Dh = c.head_dim, H = c.num_attention_heads, Hkv = c.num_key_value_heads;
    const std::vector<std::int64_t> vocabulary = {c.vocab_size, D};
    std::vector<ExpectedTensor> expected = {
        {"model.embed_tokens.weight", vocabulary}, {"model.norm.weight", {D}}, {"lm_head.weight", vocabulary}};
    if (c.tie_word_embeddings) {  // either will do for both
        expected.front().elsewhere = {"lm_head.weight", vocabulary};
        expected.back().elsewhere = {"model.embed_tokens.weight", vocabulary};
    }

    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
        const std::string prefix = fmt::format("model.layers.{}.", layer);
        const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) -> ExpectedTensor& {
            return expected.emplace_back(ExpectedTensor{prefix + name, std::move(shape)});
        };
        const auto add_mlp = [&](const std::string& gate, const std::string& up, const std::string& down,
                                 std::int64_t F) {
            add(gate, {F, D});
            add(up, {F, D});
            add(down, {D, F});
        };
        add("input_layernorm.weight", {D});
        add("post_attention_layernorm.weight", {D});
        for (const auto& [name, heads] : {std::pair{"q", H}, {"k", Hkv}, {"v", Hkv}}) {
            add(fmt::format("self_attn.{}_proj.weight", name), {heads * Dh, D});
            if (c.qkv_bias) add(fmt::format("self_attn.{}_proj.bias", name), {heads * Dh});
        }
        add("self_attn.o_proj.weight", {D, H * Dh});
        if (c.output_bias) add("self_attn.o_proj.bias", {D});
        if (c.qk_norm) {
            add("self_attn.q_norm.weight", {Dh});
            add("self_attn.k_norm.weight", {Dh});
        }
        if (!c.is_moe[static_cast<std::size_t>(layer)]) {
            add_mlp("mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight", c.intermediate_size);
            continue;
        }
        // Elsewhere: as transformers 5 holds them in memory, and saves them with save_original_format=False.
        const std::int64_t E = c.num_experts, F = c.moe_intermediate_size;
        add(c.names.router, {E, D}).elsewhere = {prefix + "mlp.gate.weight", {E, D}};
        if (c.router == Router::sigmoid) add(c.names.correction_bias, {E});
        const std::string gate_up = prefix + "mlp.experts.gate_up_proj", down = prefix + "mlp.experts.down_proj";
        for (std::int64_t e = 0; e < E; ++e) {
            const auto of_expert = [&](const std::string& name) { return fmt::format(fmt::runtime(name), e); };
            add(of_expert(c.names.gate), {F, D}).elsewhere = {gate_up, {E, 2 * F, D}, 2 * e};
            add(of_expert(c.names.up), {F, D}).elsewhere = {gate_up, {E, 2 * F, D}, 2 * e + 1};
            add(of_expert(c.names.down), {D, F}).elsewhere = {down, {E, D, F}, e};
        }
        if (c.shared_intermediate_size > 0)
            add_mlp("mlp.shared_experts.gate_proj.weight", "mlp.shared_experts.up_proj.weight",
                    "mlp.shared_experts.down_proj.weight", c.shared_intermediate_size);
    }
    return expected;
}

std::vector<std::pair<std::string, std::string>> architecture(const ModelConfig& c) {
    std::vector<std::pair<std::string, std::string>> all = {{"model_type", c.model_type}};
    const auto add = [&](const char* name, const auto& value) { all.emplace_back(name, fmt::format("{}", value)); };
    add("vocab_size", c.vocab_size);
    add("hidden_size", c.hidden_size);
    add("num_hidden_layers", c.num_hidden_layers);
    add("rms_norm_eps", c.rms_norm_eps);
    add("tie_word_embeddings", c.tie_word_embeddings);
    add("num_attention_heads", c.num_attention_heads);
    add("num_key_value_heads", c.num_key_value_heads);
    add("head_dim", c.head_dim);
    add("rotary_dim", c.rotary_dim);
    add("rope_theta", c.rope_theta);
    add("qkv_bias", c.qkv_bias);
    add("output_bias", c.output_bias);
    add("qk_norm", c.qk_norm);
    std::string dense;
    for (std::size_t l = 0; l < c.is_moe.size(); ++l)
        if (!c.is_moe[l]) dense += fmt::format("{}{}", dense.empty() ? "" : ",", l);
    add("dense_layers", dense.empty() ? "none" : dense);
    add("intermediate_size", c.intermediate_size);
    add("moe_intermediate_size", c.moe_intermediate_size);
    add("num_experts", c.num_experts);
    add("num_experts_per_tok", c.num_experts_per_tok);
    add("shared_intermediate_size", c.shared_intermediate_size);
    add("router", c.router == Router::softmax ? "softmax" : "sigmoid");
    add("norm_topk_prob", c.norm_topk_prob);
    add("weights_in_model_dtype", c.weights_in_model_dtype);
    add("routed_scaling_factor", c.routed_scaling_factor);
    add("n_group", c.n_group);
    add("topk_group", c.topk_group);
    return all;
}

}  // namespace moesweep
