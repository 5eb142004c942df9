// From rows to answers: which layer, which expert, and how well they hold on the validation half (paper, sections 3-4).
// Torch-free: the input is the tables of a merged run.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "moesweep/cases.h"
#include "moesweep/config.h"
#include "moesweep/stats.h"
#include "moesweep/tables.h"

namespace moesweep {

struct Study {
    /// One line per swept layer: mean block rescue on each half.
    struct Layers {
        std::vector<std::int32_t> layer;
        std::vector<Summary> discovery, validation;
    } layers;

    /// One line per expert of the selected layer: how often clean-active, and its mean rescue over those cases.
    struct Candidates {
        std::vector<std::int32_t> expert, discovery_active, validation_active;
        std::vector<double> discovery_rescue;  ///< mean over all discovery cases, inactive = 0
        std::vector<double> discovery_rescue_active;  ///< mean over the active ones; NaN where none
        std::vector<std::int8_t> recurrent;    ///< 1 if active in >= select.recurrence discovery cases
    } candidates;

    /// Every (layer, expert): mean rescue over all usable cases (inactive = 0) and the number of clean-active cases. (L', E)
    struct Heatmap {
        std::vector<std::int32_t> layer;
        std::int32_t experts = 0;
        std::vector<double> mean_rescue;
        std::vector<std::int32_t> active;
    } heatmap;

    /// One line per validation case at the selected layer and expert.
    struct ValidationCases {
        std::vector<std::int32_t> case_index;
        std::vector<std::int8_t> active;  ///< selected expert clean-active
        std::vector<double> block_rescue, expert_rescue;
        std::vector<std::int8_t> controls;  ///< number of controls drawn (0: the layer had no other clean-active expert)
        std::vector<double> control_mean, spec;  ///< NaN where no control exists
        std::vector<std::int32_t> control_expert;  ///< (n, controls.random), -1 where fewer
    } validation;

    /// Table 1 and the lines beside it: name, Summary.
    struct Line {
        std::string name;     ///< layer_rescue, expert_rescue, spec, expert_rescue_active, spec_active, ...
        std::string meaning;
        Summary summary;
    };
    std::vector<Line> table1;

    std::int32_t selected_layer = -1;   ///< -1: no block rows or no discovery case; then `note` says so
    std::int32_t selected_expert = -1;  ///< -1: no recurrent expert; then `note` says so
    std::string note;                   ///< what could not be done, in words; empty if everything could
};

/// Selects on discovery, tests on validation. `cases` are all scanned cases in scan order; `experts` is E.
Study run_study(const Config& config, const std::vector<Case>& cases, const RoutingTable& routing, const RowTable& rows,
                std::int32_t experts);

/// The study as the tables of /results: summary, layers, candidates, heatmap, validation, table1.
std::vector<ResultTable> result_tables(const Study& study, const Config& config);

}  // namespace moesweep
