// What a tracing run would cost, without running it.
#pragma once
#include <cstdint>
#include <vector>

#include "moesweep/model/model_config.h"
#include "moesweep/run/layout.h"
#include "moesweep/tracing/case_source.h"

namespace moesweep {

/// The cases that are to be swept, as far as that is known.
struct Prompts {
    std::int64_t cases = 0, mean_tokens = 0, max_tokens = 0;
};
/// Before the scan: those that pass the tokenizer's filters; how many the margins will drop is not known.
Prompts prompts_to_come(const TracingConfig& config, CaseSource& source);
/// After it.
Prompts prompts_of_swept(const std::vector<Case>& scanned);

struct Cost {
    Prompts prompts = {};
    std::int64_t sweeps = 1;                                                                    ///< noise conditions
    std::int64_t blocks = 0, experts_least = 0, experts_most = 0, coalitions = 0, subsets = 0;  ///< rows by kind
    std::int64_t row_layers = 0;  ///< of all rows, at most
    double flops = 0;             ///< at most
    std::int64_t file_bytes = 0;  ///< of sweep.h5, at most
    Workload work = {};           ///< of a pass
};
/// Error(usage) for layers that the model has not.
Cost estimate(const TracingConfig& config, const ModelConfig& model, const Prompts& prompts);

}  // namespace moesweep
