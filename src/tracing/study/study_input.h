// The steps of a study and what they all read. Private to this room.
// Every step takes the sweep and the cases that it works on, so that it serves the study itself, other splits, relation
// folds, the relaxed study and other noise alike.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "moesweep/tracing/study.h"

namespace moesweep {

inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

inline std::size_t at(std::int32_t index) {
    return static_cast<std::size_t>(index);
}

using CaseList = std::vector<std::int32_t>;  ///< indices into /cases, ascending: sums run in scan order

/// Two halves of a study's cases: one selects, the other tests.
struct Halves {
    CaseList discovery, validation;
    CaseList both() const;  ///< merged
};
/// By Case::split or Case::relaxed_split.
Halves halves_of(const std::vector<Case>& cases, Split Case::*split);

/// What every step and every table reads.
struct StudyInput {
    const TracingConfig& config;
    const StudyData& data;
    std::int32_t experts = data.experts;  ///< E
    StatsRules stats{config.stats.bootstrap, config.stats.sign_flips, config.stats.seed};
    const SweepView& sweep = data.sweep;                  ///< under the run's own noise
    Halves halves = halves_of(data.cases, &Case::split);  ///< of the (strict) study

    const Case& case_at(std::int32_t index) const { return data.cases[at(index)]; }
};

// select.cpp: the discovery half decides.
/// The layer with the highest mean block rescue; -1 without cases or block rows.
std::int32_t choose_layer(const SweepView& sweep, const CaseList& discovery);
/// Every expert of a layer (E lines); means are NaN without expert rows.
Candidates rank_candidates(const SweepView& sweep, std::int32_t layer, std::int32_t experts, const Halves& halves,
                           std::int64_t recurrence);
/// The recurrent candidate with the highest of `means`; -1 if none is recurrent or the means are NaN.
std::int32_t best_recurrent(const Candidates& candidates, const std::vector<double>& means);
/// The expert of a layer by the study's rule; -1 if there is none.
std::int32_t choose_expert(const SweepView& sweep, std::int32_t layer, std::int32_t experts, const CaseList& discovery,
                           std::int64_t recurrence);
/// The layer, then its expert.
Selection choose(const SweepView& sweep, std::int32_t experts, const CaseList& discovery, std::int64_t recurrence);
Study::Layers score_layers(const StudyInput& in);
Study::Heatmap map_experts(const StudyInput& in);

// validate.cpp: the other half tests.
/// A line per case at `selected`; the layer must have rows, the expert may be -1.
TestedCases test_cases(const StudyInput& in, const SweepView& sweep, Selection selected, const CaseList& cases);
std::vector<Study::Line> summarize_validation(const StudyInput& in, const Study& study);
/// Over the values that are not NaN.
Summary summarize_known(const StudyInput& in, const std::vector<double>& values);
/// As above, over the cases where the selected expert is clean-active.
Summary summarize_active(const StudyInput& in, const TestedCases& tested, const std::vector<double>& values);

}  // namespace moesweep
