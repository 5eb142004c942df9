#include <set>

#include "commands.h"
#include "moesweep/model_config.h"
#include "moesweep/safetensors.h"

namespace moesweep {

void inspect(const CommandLine& line) {
    const std::string folder = line.only_argument("a model folder");
    const ModelConfig m = read_model_config(folder);
    const auto moe_layers = std::count(m.is_moe.begin(), m.is_moe.end(), true);
    fmt::print("family         {}\n", m.model_type);
    fmt::print("layers         {} ({} MoE, {} dense)\n", m.num_hidden_layers, moe_layers,
               m.num_hidden_layers - moe_layers);
    fmt::print("hidden         {}\n", m.hidden_size);
    fmt::print("heads          {} query, {} key/value, head size {}, {} rotated\n", m.num_attention_heads,
               m.num_key_value_heads, m.head_dim, m.rotary_dim);
    fmt::print(
        "experts        {} of inner size {}, top-{}{}\n", m.num_experts, m.moe_intermediate_size, m.num_experts_per_tok,
        m.shared_intermediate_size > 0 ? fmt::format(", shared expert of inner size {}", m.shared_intermediate_size)
                                       : "");
    fmt::print("router         {}{}\n", m.router == Router::softmax ? "softmax" : "sigmoid with correction bias",
               m.norm_topk_prob ? ", weights renormalised" : "");
    fmt::print("vocabulary     {}{}\n", m.vocab_size, m.tie_word_embeddings ? ", embeddings tied" : "");

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
