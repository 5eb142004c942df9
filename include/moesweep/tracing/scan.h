// The scan: which cases are usable.
#pragma once
#include <vector>

#include "moesweep/run/job.h"
#include "moesweep/tracing/case_source.h"

namespace moesweep {

/// Base runs of candidates in scan order, divided over the ranks, until cases.limit are usable (and scale_up.limit
/// under its filters). The scan ends with the record that completes the limits, however many ranks worked ahead. Empty
/// if stopped. Every rank calls it.
///
/// The sweep makes the base runs again: what they leave, keys and values of every layer, is larger than their work.
std::vector<Case> scan(const TracingConfig& config, Job& job, CaseSource& source);

}  // namespace moesweep
