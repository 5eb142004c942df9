// What an XICI run would cost, and what it cannot do, before anything is asked.
#pragma once
#include <cstdint>

#include "moesweep/model/weights.h"
#include "moesweep/run/layout.h"
#include "moesweep/xici/asking.h"

namespace moesweep {

/// Of trials of these questions.
Workload workload(const XiciConfig& config, const Weights& weights, const Asking& asking);
/// Tokens that all languages of a question hold in the cache at once, of the longest question.
std::int64_t most_cache_rows(const XiciConfig& config, const Asking& asking);

/// Error(usage) for keys that contradict each other.
void expect_usable(const XiciConfig& config);
/// Error(data) if a prompt and its answer do not fit into the model's attention window.
void expect_to_fit_window(const XiciConfig& config, const ModelConfig& model, const Asking& asking);

/// Prints the lines of a plan.
void print_cost(const XiciConfig& config, const ModelConfig& model, const Asking& asking, const PromptForm& form);

}  // namespace moesweep
