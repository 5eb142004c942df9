#include <fmt/ranges.h>

#include <set>

#include "commands.h"
#include "moesweep/model_config.h"
#include "moesweep/safetensors.h"

namespace moesweep {
namespace {

/// Every line of inspect: a name, blanks, a value.
void say(const char* name, const std::string& value) {
    fmt::print("{:<14} {}\n", name, value);
}

std::vector<std::size_t> dense_layers(const ModelConfig& m) {
    std::vector<std::size_t> layers;
    for (std::size_t l = 0; l < m.is_moe.size(); ++l)
        if (!m.is_moe[l]) layers.push_back(l);
    return layers;
}

std::string router(const ModelConfig& m) {
    std::string text = m.router == Router::softmax ? "softmax" : "sigmoid with correction bias";
    if (m.n_group > 1) text += fmt::format(", best {} of {} groups", m.topk_group, m.n_group);
    if (m.norm_topk_prob) text += ", weights renormalised";
    if (m.routed_scaling_factor != 1) text += fmt::format(", scaled by {}", m.routed_scaling_factor);
    return text;
}

/// All that the layers are computed by.
void print_geometry(const ModelConfig& m) {
    const auto dense = dense_layers(m);
    say("family", m.model_type);
    say("layers",
        fmt::format("{} ({} MoE, {} dense)", m.num_hidden_layers, m.is_moe.size() - dense.size(), dense.size()));
    if (!dense.empty())
        say("dense layers", fmt::format("{} of inner size {}", fmt::join(dense, ", "), m.intermediate_size));
    say("hidden", std::to_string(m.hidden_size));
    say("norms", fmt::format("eps {}{}", m.rms_norm_eps, m.qk_norm ? ", also of queries and keys" : ""));
    say("heads", fmt::format("{} query, {} key/value, head size {}, {} rotated", m.num_attention_heads,
                             m.num_key_value_heads, m.head_dim, m.rotary_dim));
    say("rotation", fmt::format("theta {}", m.rope_theta));
    say("biases", fmt::format("{}{}", m.qkv_bias ? "query, key, value" : "none", m.output_bias ? ", output" : ""));
    if (m.sliding_window > 0) say("window", fmt::format("{} tokens: longer prompts are refused", m.sliding_window));
    say("experts",
        fmt::format("{} of inner size {}, top-{}{}", m.num_experts, m.moe_intermediate_size, m.num_experts_per_tok,
                    m.shared_intermediate_size > 0
                        ? fmt::format(", shared expert of inner size {}", m.shared_intermediate_size)
                        : ""));
    say("router", router(m));
    say("vocabulary", fmt::format("{}{}", m.vocab_size, m.tie_word_embeddings ? ", embeddings tied" : ""));
}

}  // namespace

void inspect(const CommandLine& line) {
    const std::string folder = line.only_argument("a model folder");
    const ModelConfig m = read_model_config(folder);
    print_geometry(m);

    const Checkpoint checkpoint(folder);
    std::set<std::string> expected;
    int problems = 0;
    for (const auto& tensor : expected_tensors(m)) {
        expected.insert(tensor.name);
        try {
            checkpoint.get(tensor.name, tensor.shape);
        } catch (const Error& error) {
            ++problems;
            fmt::print("problem        {}\n", error.what());
        }
    }
    std::int64_t parameters = 0;
    for (const auto& [name, view] : checkpoint.tensors()) {
        if (!expected.contains(name)) fmt::print("unexpected     {} {} {}\n", name, view.dtype, shape_text(view.shape));
        std::int64_t count = 1;
        for (const auto extent : view.shape) count *= extent;
        parameters += expected.contains(name) ? count : 0;
    }
    fmt::print("parameters     {} in {} file(s)\n", parameters, checkpoint.files().size());
    if (problems > 0)
        fail(Exit::data, "{}: {} of {} tensors are missing or not as expected", folder, problems, expected.size());
}

}  // namespace moesweep
