// The steps of a study and what they all read. Private to this room.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "index.h"
#include "moesweep/study.h"

namespace moesweep {

inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

inline std::size_t at(std::int32_t index) {
    return static_cast<std::size_t>(index);
}

/// What every step reads: the tables with their indices, and the cases of each half in scan order.
struct Run {
    const Config& config;
    const std::vector<Case>& cases;
    const RoutingTable& routing;
    const RowTable& rows;
    std::int32_t experts;
    StatsRules stats{config.stats.bootstrap, config.stats.sign_flips, config.stats.seed};
    RowIndex row_index{rows};
    CleanRouting clean_routing{routing};
    std::vector<std::int32_t> discovery = half(Split::discovery), validation = half(Split::validation);

    /// Indices into `cases`.
    std::vector<std::int32_t> half(Split split) const;

    bool in_study(std::int32_t case_index) const;  ///< whether it belongs to one of the halves
    bool has_expert_rows(std::int32_t layer) const;

    /// Rescue of a clean-active expert. A pair without a row was routed in neither run: its patch is 0.
    double expert_rescue(std::int32_t case_index, std::int32_t layer, std::int32_t expert) const;

    /// Rescues of the rows of a kind that names no expert, in case order.
    std::vector<double> rescues(const std::vector<std::int32_t>& of, std::int32_t layer, Kind kind) const;
};

// select.cpp: the discovery half decides.
Study::Layers score_layers(const Run& run);
Study::Heatmap map_experts(const Run& run);
std::int32_t select_layer(const Study::Layers& layers);                 ///< -1 without discovery cases or block rows
Study::Candidates rank_candidates(const Run& run, std::int32_t layer);  ///< means are NaN without expert rows
/// The recurrent candidate with the highest of `means`; -1 if none is recurrent.
std::int32_t select_expert(const Study::Candidates& candidates, const std::vector<double>& means);

// validate.cpp: the validation half tests.
Study::ValidationCases test_cases(const Run& run, const Study& study);
std::vector<Study::Line> summarize_validation(const Run& run, const Study& study);

}  // namespace moesweep
