// What an XICI run would cost, and what it cannot do, before anything is asked.
#pragma once
#include <cstdint>

#include "moesweep/model/weights.h"
#include "moesweep/run/layout.h"
#include "moesweep/xici/asking.h"

namespace moesweep {

/// What decoding a trial takes.
struct DecodeLoad {
    Workload work;
    std::int64_t cache_rows = 0;  ///< tokens that all sequences of a trial hold in the cache at once, at most
    std::int64_t max_tokens = 0;  ///< of an answer
};
/// Of trials whose prompts have these lengths, trial by trial.
DecodeLoad load_of(const Weights& weights, const std::vector<std::vector<std::int64_t>>& prompt_lengths,
                   std::int64_t max_tokens);
/// Of the questions.
DecodeLoad load_of(const XiciConfig& config, const Weights& weights, const Asking& asking);

/// Error(usage) for keys that contradict each other.
void expect_usable(const XiciConfig& config);
/// Error(data) if a prompt and its answer do not fit into the model's attention window.
void expect_to_fit_window(const XiciConfig& config, const ModelConfig& model, const Asking& asking);

/// Prints the lines of a plan.
void print_cost(const XiciConfig& config, const ModelConfig& model, const Asking& asking, const PromptForm& form);

}  // namespace moesweep
