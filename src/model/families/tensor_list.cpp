#include "tensor_list.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

namespace moesweep {
namespace {

constexpr std::string_view layers_prefix = "model.layers.";

}  // namespace

TensorList::TensorList(const ModelConfig& config, std::int64_t layer)
    : config_(config), prefix_(fmt::format("{}{}.", layers_prefix, layer)) {}

ExpectedTensor& TensorList::add(Slot slot, const std::string& name, std::vector<std::int64_t> shape,
                                std::int64_t expert) {
    return tensors_.emplace_back(LayerTensor{slot, expert, {prefix_ + name, std::move(shape)}}).stored;
}

void TensorList::add_norms_and_attention() {
    const std::int64_t D = config_.hidden_size, Dh = config_.heads.head_dim, H = config_.heads.num_attention_heads;
    add(Slot::input_norm, "input_layernorm.weight", {D});
    add(Slot::post_attention_norm, "post_attention_layernorm.weight", {D});
    for (const auto& [name, heads] :
         {std::pair{"q", H}, {"k", config_.heads.num_key_value_heads}, {"v", config_.heads.num_key_value_heads}}) {
        add(Slot::qkv, fmt::format("self_attn.{}_proj.weight", name), {heads * Dh, D});
        if (config_.heads.qkv_bias) add(Slot::qkv_bias, fmt::format("self_attn.{}_proj.bias", name), {heads * Dh});
    }
    add(Slot::output, "self_attn.o_proj.weight", {D, H * Dh});
    if (config_.heads.output_bias) add(Slot::output_bias, "self_attn.o_proj.bias", {D});
    if (config_.heads.qk_norm) {
        add(Slot::q_norm, "self_attn.q_norm.weight", {Dh});
        add(Slot::k_norm, "self_attn.k_norm.weight", {Dh});
    }
}

void TensorList::add_dense() {
    add_swiglu(Slot::dense_gate_up, Slot::dense_down, "mlp", config_.dense.intermediate_size);
}

void TensorList::add_router(const std::string& name) {
    const std::vector<std::int64_t> shape = {config_.router.num_experts, config_.hidden_size};
    add(Slot::router, name, shape).elsewhere = {prefix_ + "mlp.gate.weight", shape};
}

void TensorList::add_experts(ExpertShare share, const std::string& prefix, const SwigluNames& names) {
    const std::int64_t D = config_.hidden_size, F = config_.expert.intermediate_size, E = config_.router.num_experts;
    const std::string fused = prefix_ + "mlp.experts.";
    for (std::int64_t e = share.first; e < share.end; ++e) {
        const auto add_matrix = [&](Slot slot, const std::string& name, std::vector<std::int64_t> shape) -> auto& {
            return add(slot, fmt::format("{}.{}.{}.weight", prefix, e, name), std::move(shape), e).elsewhere;
        };
        add_matrix(Slot::expert_gate_up, names.gate, {F, D}) = {fused + "gate_up_proj", {E, 2 * F, D}, 2 * e};
        add_matrix(Slot::expert_gate_up, names.up, {F, D}) = {fused + "gate_up_proj", {E, 2 * F, D}, 2 * e + 1};
        add_matrix(Slot::expert_down, names.down, {D, F}) = {fused + "down_proj", {E, D, F}, e};
    }
}

void TensorList::add_swiglu(Slot gate_up, Slot down, const std::string& prefix, std::int64_t F) {
    const std::int64_t D = config_.hidden_size;
    const SwigluNames names;
    add(gate_up, fmt::format("{}.{}.weight", prefix, names.gate), {F, D});
    add(gate_up, fmt::format("{}.{}.weight", prefix, names.up), {F, D});
    add(down, fmt::format("{}.{}.weight", prefix, names.down), {D, F});
}

EndTensors end_tensors(const ModelConfig& config) {
    const std::vector<std::int64_t> vocabulary = {config.vocab_size, config.hidden_size};
    EndTensors ends = {{"model.embed_tokens.weight", vocabulary},
                       {"model.norm.weight", {config.hidden_size}},
                       {"lm_head.weight", vocabulary}};
    if (config.tie_word_embeddings) {  // either will do for both
        ends.embedding.elsewhere = {ends.head.name, vocabulary};
        ends.head.elsewhere = {ends.embedding.name, vocabulary};
    }
    return ends;
}

std::optional<std::int64_t> layer_named_by(const std::string& name) {
    if (!name.starts_with(layers_prefix)) return std::nullopt;
    const char *begin = name.data() + layers_prefix.size(), *end = name.data() + name.size();
    std::int64_t layer = 0;
    const auto [stop, error] = std::from_chars(begin, end, layer);
    if (error != std::errc() || stop == end || *stop != '.' || layer < 0) return std::nullopt;
    return layer;
}

}  // namespace moesweep
