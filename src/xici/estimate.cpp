#include "moesweep/xici/estimate.h"

#include <c10/core/ScalarType.h>

#include <algorithm>

#include "moesweep/engine/decode.h"
#include "moesweep/engine/kv_cache.h"
#include "moesweep/model/next_token.h"
#include "moesweep/run/plan.h"
#include "moesweep/xici/rate.h"

namespace moesweep {
namespace {

constexpr std::int64_t sequences_wanted = 512;  // in flight, that an expert has rows enough for a product

std::int64_t element_bytes(const Weights& weights) {
    return static_cast<std::int64_t>(c10::elementSize(weights.dtype()));
}

/// Kinds of sets that a question with experts is asked again with, at each cap.
std::int64_t sets_of_question(const XiciConfig& config) {
    const auto& d = config.deactivate;
    return (1 + d.draws + d.shuffled) * (1 + static_cast<std::int64_t>(d.caps.values().size())) + d.same_relation +
           d.permuted + (d.singles ? config.identify.cap : 0);
}

double multiply_adds_per_token(const ModelConfig& m) {
    const double D = double(m.hidden_size);
    double all = double(m.vocab_size) * D;
    for (const bool moe : m.is_moe) {
        const double experts =
            double(m.router.num_experts_per_tok * m.expert.intermediate_size + m.shared_expert.intermediate_size);
        all += double(m.heads.head_dim * (2 * m.heads.num_attention_heads + 2 * m.heads.num_key_value_heads)) * D;
        all += moe ? 3 * experts * D + double(m.router.num_experts) * D : 3 * double(m.dense.intermediate_size) * D;
    }
    return all;
}

}  // namespace

DecodeLoad load_of(const Weights& weights, const std::vector<std::vector<std::int64_t>>& prompt_lengths,
                   std::int64_t max_tokens) {
    const ModelConfig& model = weights.config();
    const std::int64_t pairs = model.num_hidden_layers * model.router.num_experts, bytes = element_bytes(weights);
    std::int64_t most_sequences = 1, longest = 1;
    DecodeLoad load{{.base_rows = 1, .items = std::ssize(prompt_lengths), .waits = true}, 1, max_tokens};
    for (const auto& lengths : prompt_lengths) {
        std::int64_t rows = 0, cached = 0;
        for (const std::int64_t length : lengths) {
            rows += length;
            cached += cache_rows_of(length, max_tokens);
            longest = std::max(longest, length);
        }
        most_sequences = std::max<std::int64_t>(most_sequences, std::ssize(lengths));
        load.work.base_rows = std::max(load.work.base_rows, rows);
        load.cache_rows = std::max(load.cache_rows, cached);
    }
    load.work.tokens = cache_rows_of(longest, max_tokens);
    // Sums of gate weights, their means, and those in a unit's file image; tokens and texts.
    load.work.kept_bytes = most_sequences * (pairs * (2 * 8 + 3 * 2 * 4) + max_tokens * 160);
    load.work.flight_bytes =
        load.cache_rows * KvCache::bytes_of_row(model, bytes) + most_sequences * 3 * vocabulary_block * bytes;
    load.work.items_wanted = (sequences_wanted + most_sequences - 1) / most_sequences;
    return load;
}

DecodeLoad load_of(const XiciConfig& config, const Weights& weights, const Asking& asking) {
    std::vector<std::vector<std::int64_t>> lengths;
    for (const auto& prompts : asking.prompts) {
        auto& of_question = lengths.emplace_back();
        for (const auto& prompt : prompts) of_question.push_back(std::ssize(prompt));
    }
    return load_of(weights, lengths, config.ask.max_tokens);
}

void expect_usable(const XiciConfig& config) {
    if (config.rate.by == RateBy::model && config.rate.model.empty())
        fail(Exit::usage, "rate.model: required with rate.by = model");
    if (config.rate.by == RateBy::model) RaterPrompt{config.rate.prompt};
    if (config.rate.by != RateBy::model && !config.rate.model.empty())
        fail(Exit::usage, "rate.model: used only with rate.by = model");
    if (config.ask.chat != Chat::custom && !(config.ask.prefix + config.ask.infix + config.ask.suffix).empty())
        fail(Exit::usage, "ask.prefix, ask.infix, ask.suffix: used only with ask.chat = custom");
    for (const std::int64_t cap : config.deactivate.caps.values())
        if (cap < 1) fail(Exit::usage, "deactivate.caps: expected whole numbers from 1 on, got {}", cap);
    if (config.rate.by != RateBy::file && !config.rate.file.empty())
        fail(Exit::usage, "rate.file: used only with rate.by = file");
}

void expect_to_fit_window(const XiciConfig& config, const ModelConfig& model, const Asking& asking) {
    if (model.sliding_window == 0) return;
    for (std::size_t q = 0; q < asking.prompts.size(); ++q)
        for (std::size_t v = 0; v < asking.prompts[q].size(); ++v)
            if (const auto rows = cache_rows_of(std::ssize(asking.prompts[q][v]), config.ask.max_tokens);
                rows > model.sliding_window)
                fail(Exit::data,
                     "{}/config.json: sliding_window: {} is shorter than the {} tokens of question {} ({}) and its "
                     "answer, which is not supported",
                     config.model.path, model.sliding_window, rows, asking.questions[q].id,
                     asking.questions[q].variants[v].language);
}

void print_cost(const XiciConfig& config, const ModelConfig& model, const Asking& asking, const PromptForm& form) {
    const auto line = print_plan_line;
    std::int64_t prompt_tokens = 0;
    for (const auto& prompts : asking.prompts)
        for (const auto& prompt : prompts) prompt_tokens += std::ssize(prompt);
    const std::int64_t sequences = asking.sequences(), answers = sequences * config.ask.max_tokens,
                       again = sets_of_question(config);
    line("chat form", form.name);
    for (const std::string& note : form.notes) line("note", note);
    line("questions", fmt::format("{} in {} languages", asking.questions.size(), asking.languages.size()));
    line("sequences",
         fmt::format("{} at first, then {} times those of the questions with experts at most", sequences, again));
    line("tokens", fmt::format("{} of prompts ({} at most in one), {} of answers at most", prompt_tokens,
                               asking.longest_prompt(), answers));
    line("keys and values", fmt::format("{} of a sequence at most",
                                        bytes_text(cache_rows_of(asking.longest_prompt(), config.ask.max_tokens) *
                                                   KvCache::bytes_of_row(model, 4))));
    line("passes over the weights",
         fmt::format("{} at most for each assignment of a rank, one a token", config.ask.max_tokens));
    line("arithmetic", fmt::format("{:.3g} FLOP at most", 2 * double(prompt_tokens + answers) * double(1 + again) *
                                                              multiply_adds_per_token(model)));
    const std::int64_t pairs = std::ranges::count(model.is_moe, true) * model.router.num_experts;
    line("xici.h5",
         fmt::format("{} at most",
                     bytes_text(sequences * pairs * 8 + sequences * (1 + again) * (200 + 24 * config.ask.max_tokens))));
}

}  // namespace moesweep
