#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results.h"

namespace moesweep {
namespace {

/// A sweep of the study's cases under one noise.
struct Noised {
    double scale;
    std::int32_t draw;
    const SweepView* sweep;
};

/// The run's own noise, and the conditions that belong beside it: of further scales, or further draws.
template <class Wanted>
std::vector<Noised> sweeps(const StudyInput& in, Wanted wanted) {
    std::vector<Noised> all{{in.config.noise.scale, 0, &in.sweep}};
    for (const auto& condition : in.data.conditions) {
        if (wanted(condition)) all.push_back({condition.scale, condition.draw, &condition.sweep});
    }
    return all;
}

/// The selection as far as the sweep has rows of it, with a note where it has none of the expert.
Selection swept_part(const Noised& noised, Selection selected, ResultTable& table) {
    if (noised.sweep->has_experts(selected.layer)) return selected;
    add_note(table, fmt::format("Noise scale {}, draw {}: no expert rows at layer {}.", noised.scale, noised.draw,
                                selected.layer));
    return {selected.layer, -1};
}

/// Mean fall of delta from the clean to the noised run; NaN without any of the cases.
double mean_drop(const SweepView& sweep, const CaseList& cases) {
    std::vector<double> values;
    for (auto case_index : cases)
        if (const auto drop = sweep.noise_drop(case_index)) values.push_back(*drop);
    return mean(values);
}

/// The lines of noise_scales, a column each.
struct ScaleLines {
    std::vector<double> scale, drop;
    std::vector<std::string> selection;
    std::vector<std::int32_t> layer, expert, n, active;
    std::vector<Summary> rescue;

    void add(const StudyInput& in, const Noised& noised, const char* name, Selection selected) {
        const CaseList& cases = in.halves.validation;
        const TestedCases tested = test_cases(in, *noised.sweep, selected, cases);
        scale.push_back(noised.scale);
        selection.push_back(name);
        layer.push_back(selected.layer);
        expert.push_back(selected.expert);
        n.push_back(static_cast<std::int32_t>(cases.size()));
        active.push_back(static_cast<std::int32_t>(std::ranges::count(tested.active, std::int8_t{1})));
        drop.push_back(mean_drop(*noised.sweep, cases));
        rescue.push_back(summarize_known(in, tested.expert_rescue));
    }
};

/// Means of each draw.
struct DrawMeans {
    std::vector<double> layer_rescue, expert_rescue, spec;

    void add(const StudyInput& in, const TestedCases& tested) {
        layer_rescue.push_back(summarize_known(in, tested.block_rescue).mean);
        expert_rescue.push_back(summarize_known(in, tested.expert_rescue).mean);
        spec.push_back(summarize_known(in, tested.spec).mean);
    }

    /// Attributes: standard deviation between two or more draws (n - 1), and standard error of their mean.
    void add_errors(ResultTable& table) const {
        const auto add = [&](const char* name, const std::vector<double>& means) {
            const double centre = mean(means), n = static_cast<double>(means.size());
            double squares = 0;
            for (double value : means) squares += (value - centre) * (value - centre);
            const double sd = std::sqrt(squares / (n - 1));
            table.attributes.emplace_back(fmt::format("{}_sd", name), fmt::format("{}", sd));
            table.attributes.emplace_back(fmt::format("{}_se", name), fmt::format("{}", sd / std::sqrt(n)));
        };
        add("layer_rescue", layer_rescue);
        add("expert_rescue", expert_rescue);
        add("spec", spec);
    }
};

}  // namespace

ResultTable noise_scales_table(const StudyInput& in, const Study& study) {
    ResultTable table{"noise_scales",
                      "Noise scales: the selected expert, with the selection fixed and selected anew on each scale's "
                      "discovery rows; validation cases",
                      {},
                      {}};
    ScaleLines lines;
    if (!note_no_expert(table, study)) {
        auto scales = sweeps(in, [](const Condition& condition) { return condition.draw == 0; });
        if (scales.size() == 1) add_note(table, "No other scale was swept (noise.scales).");
        std::ranges::stable_sort(scales, {}, &Noised::scale);
        for (const auto& noised : scales) {
            lines.add(in, noised, "fixed", swept_part(noised, study.selected, table));
            lines.add(in, noised, "anew",
                      choose(*noised.sweep, in.experts, in.halves.discovery, in.config.select.recurrence));
        }
    }
    table.columns = {{"scale", "", "noise in standard deviations of the embedding matrix", std::move(lines.scale)},
                     {"selection", "", "fixed: as selected under the run's own noise; anew: on this scale",
                      std::move(lines.selection)},
                     {"layer", "", "decoder layer, from 0; -1: none", std::move(lines.layer)},
                     {"expert", "", "expert index, from 0; -1: none", std::move(lines.expert)},
                     {"n", "", "validation cases", std::move(lines.n)},
                     {"active", "", "validation cases whose clean run routes to the expert", std::move(lines.active)},
                     {"mean_drop", "logit", "mean of delta_clean - delta_noised", std::move(lines.drop)}};
    add_summaries(table, "rescue", lines.rescue);
    return table;
}

ResultTable draws_table(const StudyInput& in, const Study& study) {
    ResultTable table{
        "draws",
        "Draws of the noise at the run's own scale: validation means at the selected layer and expert, and "
        "how much they vary from draw to draw",
        {},
        {}};
    std::vector<std::int32_t> draw;
    std::vector<double> scale;
    DrawMeans means;
    if (!note_no_expert(table, study)) {
        for (const auto& noised : sweeps(in, [&](const Condition& condition) {
                 return condition.draw > 0 && condition.scale == in.config.noise.scale;
             })) {
            draw.push_back(noised.draw);
            scale.push_back(noised.scale);
            means.add(in,
                      test_cases(in, *noised.sweep, swept_part(noised, study.selected, table), in.halves.validation));
        }
        if (draw.size() == 1) {
            add_note(table, "One draw of the noise (noise.draws = 1): there is no error between draws.");
        } else {
            means.add_errors(table);
        }
    }
    table.columns = {
        {"draw", "", "draw of the noise; 0: the run's own", std::move(draw)},
        {"scale", "", "noise in standard deviations of the embedding matrix", std::move(scale)},
        {"layer_rescue", "logit", "mean block rescue", std::move(means.layer_rescue)},
        {"expert_rescue", "logit", "mean rescue of the selected expert, inactive = 0", std::move(means.expert_rescue)},
        {"spec", "logit", "mean Spec, cases with a control", std::move(means.spec)}};
    return table;
}

}  // namespace moesweep
