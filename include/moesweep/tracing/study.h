// From rows to answers: which layer, which expert, and how well they hold on the validation half (paper, sections 3-4).
// Torch-free: the input is the tables of a merged run.
//
// Rules (the paper's where it has one; /results has them in words beside the numbers):
// * A rescue of an expert belongs to the cases in which the clean run routes to it ("clean-active"). Elsewhere
//   c_e(clean) = 0 and the expert counts as 0, also where the noised run routes to it and a row exists.
// * Layer: highest mean block rescue over the discovery cases. * Expert: among those clean-active in at least
// select.recurrence discovery cases of that layer, the highest mean rescue
//   over ALL discovery cases. The mean over its active cases stands beside it, and the expert that it would select.
// * Ties go to the lower index.
// * Controls: min(controls.random, available) of the other clean-active experts in ascending order, drawn without
//   replacement by random.Random(controls.seed + case_id).sample; the row's Spec (eq. 7) is the selected expert's
//   rescue minus their mean. A case without any control has no Spec.
// What cannot be done (no block rows, no recurrent expert, an empty half) is said in `note`; nothing divides by zero.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moesweep/stats/stats.h"
#include "moesweep/store/result_table.h"
#include "moesweep/tracing/cases.h"
#include "moesweep/tracing/keys.h"
#include "moesweep/tracing/sweep_view.h"

namespace moesweep {

/// What is selected. The second pass must know it before the study is whole, because its rows are part of the study.
struct Selection {
    std::int32_t layer = -1;   ///< -1: no block rows or no discovery case
    std::int32_t expert = -1;  ///< -1: no layer, no expert rows or no recurrent expert
    bool operator==(const Selection&) const = default;
};

/// One line per expert of a layer: how often clean-active, and its mean rescue on the discovery cases.
struct Candidates {
    std::vector<std::int32_t> expert, discovery_active, validation_active;
    std::vector<double> discovery_rescue;         ///< mean over all discovery cases, inactive = 0: this one selects
    std::vector<double> discovery_rescue_active;  ///< mean over the active ones; NaN where none
    std::vector<std::int8_t> recurrent;           ///< 1 if active in at least so many discovery cases as are asked for
};

/// One line per case, tested at one layer and expert. Without an expert its columns are NaN, 0 or -1.
struct TestedCases {
    std::vector<std::int32_t> case_index;
    std::vector<std::int8_t> active;  ///< selected expert clean-active
    std::vector<double> block_rescue, expert_rescue;
    std::vector<std::int8_t> controls;         ///< number of controls drawn
    std::vector<double> control_mean, spec;    ///< NaN where no control exists
    std::vector<std::int32_t> control_expert;  ///< (n, controls.random) in the order drawn, -1 where fewer
};

struct Study {
    /// One line per layer with block rows: block rescue on each half.
    struct Layers {
        std::vector<std::int32_t> layer;
        std::vector<Summary> discovery, validation;
    } layers;

    Candidates candidates;  ///< of the selected layer

    /// Every (layer, expert) of the swept layers, row-major (L', E), over the cases of both halves.
    struct Heatmap {
        std::vector<std::int32_t> layer;
        std::int32_t experts = 0;
        std::vector<double> mean_rescue;   ///< inactive = 0; NaN at a layer without expert rows
        std::vector<std::int32_t> active;  ///< number of clean-active cases
    } heatmap;

    TestedCases validation;  ///< the validation cases at the selected layer and expert; empty without a layer

    /// The paper's Table 1 and the lines beside it: name, Summary over validation cases.
    struct Line {
        std::string name;  ///< layer_rescue, expert_rescue, spec, expert_rescue_active, spec_active, control_mean,
                           ///< coalition_clean, coalition_union; the last two where their rows exist
        std::string meaning;
        Summary summary;
    };
    std::vector<Line> main_results;

    std::int32_t discovery_cases = 0, validation_cases = 0;
    Selection selected;                         ///< where a part is -1, `note` says why
    std::int32_t selected_by_active_mean = -1;  ///< the recurrent expert with the highest mean over its active cases
    std::string note;                           ///< what could not be done, in words; empty if everything could
};

/// A study and its tables of /results, in the order of src/tracing/results/results.cpp. A table that cannot be made has
/// no line and says why in its attribute "note".
struct StudyResults {
    Study study;
    std::vector<ResultTable> tables;
};

/// The swept cases under another noise: another scale, or another draw at the run's own scale.
struct Condition {
    double scale = 0;       ///< in standard deviations of the embedding matrix
    std::int32_t draw = 0;  ///< case c draws from noise.seed + case_id + draw x 2^22
    SweepView sweep;
};

/// What a study is made from.
struct StudyData {
    std::vector<Case> cases;            ///< every scanned one, in scan order, split
    std::int32_t experts;               ///< E
    SweepView sweep;                    ///< under the run's own noise, with the rows of the second pass
    std::vector<Condition> conditions;  ///< further draws, then further scales
};

/// Selects on discovery, tests on validation. Error(data) for a missing clean routing line.
StudyResults run_study(const TracingConfig& config, const StudyData& data);

/// What run_study selects, from the sweep alone: there need be no conditions and no second pass yet. Errors as above.
Selection select_expert(const TracingConfig& config, const StudyData& data);

/// The gate-matched control r* of one clean routing line (eq. 8): of the other experts, the one whose weight is nearest
/// to the selected expert's; ties go to the lower index. `experts` and `weights` are of equal length. Empty where
/// `selected` is not routed or has no other beside it.
std::optional<std::int32_t> gate_matched_control(std::span<const std::int32_t> experts, std::span<const float> weights,
                                                 std::int32_t selected);

/// Exact Shapley values of the k players of a game: phi_i = sum over the coalitions S without i of |S|! (k - |S| - 1)!
/// / k! x (v(S + i) - v(S)). `values` has the 2^k values v(S), S as bits, v(empty) first. k up to 16. They sum to
/// v(all) - v(empty).
std::vector<double> shapley_values(std::span<const double> values);

}  // namespace moesweep
