#include <functional>
#include <numeric>

#include "commands.h"
#include "moesweep/tokenizer.h"
#include "moesweep/weights.h"

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

    const std::vector<ExpectedTensor> expected = expected_tensors(m);
    const Checkpoint checkpoint = Checkpoint::open(folder, expected);
    for (const auto& problem : checkpoint.problems()) fmt::print("problem        {}\n", problem);
    for (const auto& note : checkpoint.notes()) fmt::print("note           {}\n", note);
    for (const auto& [name, view] : checkpoint.unexpected())
        fmt::print("unexpected     {} {} {}\n", name, view.dtype, shape_text(view.shape));
    std::int64_t parameters = 0;
    for (const auto& [name, view] : checkpoint.stored())
        parameters += std::accumulate(view.shape.begin(), view.shape.end(), std::int64_t{1}, std::multiplies<>());
    if (std::filesystem::exists(std::filesystem::path(folder) / "tokenizer.json"))
        if (const std::string note = Tokenizer(folder).note(); !note.empty()) fmt::print("tokens         {}\n", note);
    fmt::print("parameters     {} in {} file(s)\n", parameters, checkpoint.files().size());
    if (!checkpoint.whole())
        fail(Exit::data, "{}: {} of {} tensors are missing or not as expected", folder,
             expected.size() - checkpoint.found(), expected.size());

    const Weights weights(folder, m, Precision::fp32);
    if (weights.tied_head_differs(0, weights.embedding_blocks()))
        fmt::print("note           {}\n", weights.tied_head_note());
}

}  // namespace moesweep
