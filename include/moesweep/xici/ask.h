// Asking: a trial is a question that is asked in all of its languages while a set of experts is deactivated, an empty
// one at first. Trials are answered unit by unit.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "moesweep/engine/decode.h"
#include "moesweep/run/compute_units.h"
#include "moesweep/xici/asking.h"
#include "moesweep/xici/conditions.h"
#include "moesweep/xici/estimate.h"

namespace moesweep {

/// Trials, numbered from `first` on; run.unit of them are a unit.
struct TrialSeries {
    UnitSet units;
    std::vector<ExpertSet> trials;
    std::int32_t first = 0;

    /// The trials of a unit.
    ItemRange items(std::int64_t unit, std::int64_t trials_of_unit) const;
};

/// Trial q asks question q as it is, and captures what it routes to.
TrialSeries asked_series(const XiciConfig& config, const Store& store, const Asking& asking);
/// Trials with deactivated experts, numbered after those. Their folder is named by what they are, so that other rules
/// of identification have a series of their own.
TrialSeries deactivated_series(const XiciConfig& config, const Store& store, const Asking& asking,
                               std::vector<ExpertSet> trials);

/// Greedy answers of the job's model to the prompts of an assignment, as many at a time as the layout allows. `plan`
/// says the rest. Nothing if the run stops.
std::optional<std::vector<Answer>> answer_prompts(Job& job, const Assignment& assignment, const DecodeLoad& load,
                                                  const std::vector<Prompt>& prompts, DecodePlan plan);

/// Computes and commits what a series lacks, as compute_units. SharedError(usage) if a trial leaves a layer fewer
/// experts than it needs.
bool compute_trials(const XiciConfig& config, Job& job, const Asking& asking,
                    const std::vector<std::int32_t>& stop_tokens, const TrialSeries& series);

}  // namespace moesweep
