// RUN/xici.h5, the file that people read.
#pragma once
#include <vector>

#include "moesweep/run/job.h"
#include "moesweep/xici/contrast.h"

namespace moesweep {

/// What a merge must know of the model without opening it: /meta but for config and precision. Of root.
Attributes describe(const XiciConfig& config, const Job& job, const std::string& prompt_form,
                    const std::vector<std::int32_t>& stop_tokens);

struct MergeSummary {
    std::vector<std::string> lines;  ///< for the user
    bool whole = true;               ///< with the answers without the identified experts, and their ratings
};

/// Rates, identifies and sums up again from the finished units, and writes RUN/xici.h5. Where the questions have not
/// been asked again with the experts that are identified now, the file has no answers of that kind, and a line says so.
/// Error(data) for units that are missing or damaged; Error(io).
MergeSummary merge_run(const XiciConfig& config, const Store& store, const Attributes& provenance);

}  // namespace moesweep
