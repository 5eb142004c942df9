#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <numeric>
#include <optional>

#include "commands.h"
#include "moesweep/model/model_config.h"
#include "moesweep/model/model_tensors.h"
#include "moesweep/model/weights.h"
#include "moesweep/text/bos.h"

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
    std::string text = m.router.score == Score::softmax ? "softmax" : "sigmoid with correction bias";
    if (m.router.n_group > 1) text += fmt::format(", best {} of {} groups", m.router.topk_group, m.router.n_group);
    if (m.router.norm_topk_prob) text += ", weights renormalised";
    if (m.router.routed_scaling_factor != 1) text += fmt::format(", scaled by {}", m.router.routed_scaling_factor);
    return text;
}

/// All that the layers are computed by.
void print_geometry(const ModelConfig& m) {
    const auto dense = dense_layers(m);
    say("family", m.model_type);
    say("layers",
        fmt::format("{} ({} MoE, {} dense)", m.num_hidden_layers, m.is_moe.size() - dense.size(), dense.size()));
    if (!dense.empty())
        say("dense layers", fmt::format("{} of inner size {}", fmt::join(dense, ", "), m.dense.intermediate_size));
    say("hidden", std::to_string(m.hidden_size));
    say("norms", fmt::format("eps {}{}", m.rms_norm_eps, m.heads.qk_norm ? ", also of queries and keys" : ""));
    say("heads", fmt::format("{} query, {} key/value, head size {}, {} rotated", m.heads.num_attention_heads,
                             m.heads.num_key_value_heads, m.heads.head_dim, m.rope.rotary_dim));
    say("rotation", fmt::format("theta {}", m.rope.rope_theta));
    say("biases",
        fmt::format("{}{}", m.heads.qkv_bias ? "query, key, value" : "none", m.heads.output_bias ? ", output" : ""));
    if (m.sliding_window > 0) say("window", fmt::format("{} tokens: longer prompts are refused", m.sliding_window));
    say("experts", fmt::format("{} of inner size {}, top-{}{}", m.router.num_experts, m.expert.intermediate_size,
                               m.router.num_experts_per_tok,
                               m.shared_expert.intermediate_size > 0
                                   ? fmt::format(", shared expert of inner size {}", m.shared_expert.intermediate_size)
                                   : ""));
    say("router", router(m));
    say("vocabulary", fmt::format("{}{}", m.vocab_size, m.tie_word_embeddings ? ", embeddings tied" : ""));
}

/// What a run on the folder would be refused for, or would compute otherwise than transformers, a line each; the first
/// is what inspect ends with.
class Problems {
  public:
    template <class Check>
    void of(Check check) {
        try {
            check();
        } catch (const Error& error) {
            say("problem", error.what());
            if (count_++ == 0) first_ = error;
        }
    }
    bool none() const { return count_ == 0; }
    void fail_if_any() const {
        if (count_ > 0)
            fail(first_->code(), "{}{}", first_->what(), count_ > 1 ? fmt::format(" (1 of {} problems)", count_) : "");
    }

  private:
    std::optional<Error> first_;
    std::int64_t count_ = 0;
};

/// Tensors that no run reads: those of layers beyond the last in one line, each other in its own.
void print_unexpected(const Checkpoint& checkpoint, const ModelConfig& m) {
    std::map<std::int64_t, std::int64_t> beyond;  // layer -> tensors
    for (const auto& [name, view] : checkpoint.unexpected()) {
        if (const auto layer = layer_named_by(name); layer && *layer >= m.num_hidden_layers)
            ++beyond[*layer];
        else
            say("unexpected", fmt::format("{} {} {}", name, view.dtype, shape_text(view.shape)));
    }
    for (const auto& [layer, tensors] : beyond)
        say("left alone",
            fmt::format("layer {}, beyond the last: {} tensors, as of next-token prediction", layer, tensors));
}

/// Numbers that are stored of what a run needs, by dtype.
void print_stored(const Checkpoint& checkpoint) {
    std::map<std::string, std::int64_t> stored;
    std::int64_t parameters = 0;
    for (const auto& [name, view] : checkpoint.stored()) {
        const auto count = std::accumulate(view.shape.begin(), view.shape.end(), std::int64_t{1}, std::multiplies());
        stored[view.dtype] += count;
        parameters += count;
    }
    std::vector<std::string> dtypes;
    for (const auto& [dtype, count] : stored) dtypes.push_back(fmt::format("{} {}", count, dtype));
    say("parameters", fmt::format("{} in {} file(s)", parameters, checkpoint.files().size()));
    say("stored as", fmt::format("{}", fmt::join(dtypes, ", ")));
}

/// The tensors that a run needs, each a problem where it is not there as expected, and what a run makes of them.
void check_tensors(const std::string& folder, const ModelConfig& m, Problems& problems) {
    const Checkpoint checkpoint = Checkpoint::open(folder, expected_tensors(m));
    for (const auto& problem : checkpoint.problems()) problems.of([&] { fail(Exit::data, "{}", problem); });
    for (const auto& note : checkpoint.notes()) say("note", note);
    for (const auto& copies : checkpoint.copies())
        problems.of([&] {
            if (!copies.same_bytes())
                fail(Exit::data, "{}: {}: other numbers than in {}, which transformers would take", copies.used.where(),
                     copies.used.name, copies.last.where());
        });
    print_unexpected(checkpoint, m);
    print_stored(checkpoint);
    if (!checkpoint.whole()) return;
    const Weights weights(folder, m, Precision::fp32);
    if (weights.tied_head_differs(0, weights.embedding_blocks())) say("note", weights.tied_head_note());
    try {
        Weights(folder, m, Precision::split);
    } catch (const Error& error) {
        say("precisions", fmt::format("fp32 and fp64 alone: {}", error.what()));
    }
}

/// The tokenizer as a run opens it, and what begins a prompt.
void check_tokenizer(const std::string& folder, const ModelConfig& m) {
    const Tokenizer tokenizer(folder);
    const std::int64_t beyond = tokenizer.size() - m.vocab_size;
    say("tokenizer",
        fmt::format("{} tokens{}", tokenizer.size(),
                    beyond > 0
                        ? fmt::format(", the last {} beyond the vocabulary: prompts with them are refused", beyond)
                        : ""));
    for (const auto& text : bos_lines(tokenizer, Bos::automatic)) say("BOS", text);
    if (const std::string note = tokenizer.note(); !note.empty()) say("note", note);
}

}  // namespace

Exit inspect(const CommandLine& line) {
    const std::string folder = line.only_argument("a model folder");
    const ModelConfig m = read_model_config(folder);
    print_geometry(m);
    Problems problems;
    problems.of([&] { check_tensors(folder, m, problems); });
    problems.of([&] { check_tokenizer(folder, m); });
    problems.fail_if_any();
    return Exit::done;
}

}  // namespace moesweep
