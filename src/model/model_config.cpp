#include "moesweep/model_config.h"

#include <cmath>

#include "families/families.h"
#include "moesweep/files.h"

namespace moesweep {
namespace {

struct Family {
    const char* model_type;
    void (*describe)(const ConfigReader&, ModelConfig&);
};
constexpr Family families[] = {
    {"qwen3_moe", describe_qwen3_moe}, {"mixtral", describe_mixtral}, {"glm4_moe", describe_glm4_moe}};

/// What every family calls by the same name.
void describe_common(const ConfigReader& json, ModelConfig& config) {
    config.vocab_size = json.positive("vocab_size");
    config.hidden_size = json.positive("hidden_size");
    config.num_hidden_layers = json.positive("num_hidden_layers", most_layers);
    config.num_attention_heads = json.positive("num_attention_heads");
    config.num_key_value_heads = json.positive_or("num_key_value_heads", config.num_attention_heads);
    if (!json.has("head_dim") && config.hidden_size % config.num_attention_heads != 0)
        json.refuse("num_attention_heads", "{} does not divide hidden_size {}", config.num_attention_heads,
                    config.hidden_size);
    config.head_dim = json.positive_or("head_dim", config.hidden_size / config.num_attention_heads);
    config.rotary_dim = config.head_dim;
    config.rms_norm_eps = json.get_or("rms_norm_eps", 1e-6);
    config.tie_word_embeddings = json.get_or("tie_word_embeddings", false);
    config.rope_theta = json.rope("rope_theta", 10000.0);
    config.num_experts_per_tok = json.positive("num_experts_per_tok");
    config.is_moe.assign(static_cast<std::size_t>(config.num_hidden_layers), true);

    const auto act = json.get_or<std::string>("hidden_act", "silu");
    if (act != "silu") json.refuse("hidden_act", "'{}' is not supported, expected silu", act);
    if (json.has("quantization_config")) json.refuse("quantization_config", "quantised weights are not supported");
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

std::int64_t ConfigReader::positive(const std::string& key, std::int64_t most) const {
    const auto value = get_field<std::int64_t>(json_, key, file_);
    if (value < 1 || value > most) refuse(key, "expected a whole number from 1 to {}, got {}", most, value);
    return value;
}

std::int64_t ConfigReader::positive_or(const std::string& key, std::int64_t otherwise) const {
    return has(key) ? positive(key) : otherwise;
}

double ConfigReader::rope(const std::string& key, double otherwise) const {
    for (const char* place : {"rope_scaling", "rope_parameters"}) {
        if (!has(place)) continue;
        const Json& rope = json_.at(place);
        const std::string where = file_ + ": " + place;
        if (!rope.is_object()) fail(Exit::data, "{}: not an object", where);
        const auto type =
            get_field_or<std::string>(rope, rope.contains("rope_type") ? "rope_type" : "type", where, "default");
        if (type != "default") fail(Exit::data, "{}: rope_type: rope scaling '{}' is not supported", where, type);
        if (rope.contains(key)) return get_field<double>(rope, key, where);
    }
    return get_or(key, otherwise);
}

ModelConfig read_model_config(const std::filesystem::path& model_folder) {
    const auto path = model_folder / "config.json";
    return parse_model_config(parse_json(read_file(path), path.string()), path.string());
}

ModelConfig parse_model_config(const Json& json, const std::string& file) {
    const ConfigReader reader(json, file);
    ModelConfig config;
    config.model_type = get_field<std::string>(json, "model_type", file);
    for (const auto& family : families) {
        if (config.model_type != family.model_type) continue;
        describe_common(reader, config);
        family.describe(reader, config);
        check(reader, config);
        return config;
    }
    std::string known;
    for (const auto& family : families) known += (known.empty() ? "" : ", ") + std::string(family.model_type);
    reader.refuse("model_type", "'{}' is not supported, expected one of {}", config.model_type, known);
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

}  // namespace moesweep
