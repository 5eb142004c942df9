// Facts as cases, in scan order. A prompt is tokenised when it is first asked for, and once.
#pragma once
#include <cstddef>
#include <vector>

#include "moesweep/tracing/cases.h"

namespace moesweep {

class CaseSource {
  public:
    /// Reads the facts. Configuration and tokenizer must stay. Errors as read_facts; Error(usage) without cases.path.
    CaseSource(const TracingConfig& config, const Tokenizer& tokenizer);

    std::size_t size() const { return order_.size(); }
    /// The candidate at a place of the scan order, not judged by any run. Errors as make_case.
    const Case& at(std::size_t place);

  private:
    const TracingConfig& config_;
    const Tokenizer& tokenizer_;
    std::vector<Fact> facts_;
    std::vector<std::size_t> order_;
    std::vector<Case> cases_;  // the first of them
};

}  // namespace moesweep
