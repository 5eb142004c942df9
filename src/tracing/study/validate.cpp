#include <algorithm>
#include <cmath>

#include "moesweep/stats/python_random.h"
#include "study_input.h"

namespace moesweep {
namespace {

/// The controls drawn for a case go into its line, and the mean of their rescues with them.
void draw_controls(const StudyInput& in, const Routed& routed, std::int32_t selected, std::int32_t case_index,
                   TestedCases& lines) {
    std::vector<std::int32_t> others(routed.expert.begin(), routed.expert.end());
    std::erase(others, selected);
    std::ranges::sort(others);
    const auto wanted = static_cast<std::size_t>(in.config.controls.random);
    const auto seed = in.config.controls.seed + in.case_at(case_index).fact.case_id;
    const auto drawn = PythonRandom(seed).sample(others.size(), std::min(wanted, others.size()));

    std::vector<double> rescues;
    for (auto position : drawn) {
        lines.control_expert.push_back(others[position]);
        rescues.push_back(routed.rescue_of(others[position]));
    }
    lines.control_expert.resize(lines.control_expert.size() + wanted - drawn.size(), -1);
    lines.controls.push_back(static_cast<std::int8_t>(drawn.size()));
    lines.control_mean.push_back(mean(rescues));
}

}  // namespace

TestedCases test_cases(const StudyInput& in, const SweepView& sweep, Selection selected, const CaseList& cases) {
    TestedCases lines;
    const auto width = static_cast<std::size_t>(in.config.controls.random);
    for (auto case_index : cases) {
        lines.case_index.push_back(case_index);
        lines.block_rescue.push_back(sweep.rescue(case_index, selected.layer, Kind::block));
        if (selected.expert < 0) {
            lines.active.push_back(0);
            lines.controls.push_back(0);
            lines.expert_rescue.push_back(nan);
            lines.control_mean.push_back(nan);
            lines.control_expert.resize(lines.control_expert.size() + width, -1);
        } else {
            const Routed routed = sweep.routed(case_index, selected.layer);
            lines.active.push_back(routed.has(selected.expert));
            lines.expert_rescue.push_back(routed.rescue_of(selected.expert));
            draw_controls(in, routed, selected.expert, case_index, lines);
        }
        lines.spec.push_back(lines.expert_rescue.back() - lines.control_mean.back());
    }
    return lines;
}

Summary summarize_known(const StudyInput& in, const std::vector<double>& values) {
    std::vector<double> known;
    std::ranges::copy_if(values, std::back_inserter(known), [](double value) { return !std::isnan(value); });
    return summarize(known, in.stats);
}

Summary summarize_active(const StudyInput& in, const TestedCases& tested, const std::vector<double>& values) {
    std::vector<double> kept = values;
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (!tested.active[i]) kept[i] = nan;
    }
    return summarize_known(in, kept);
}

std::vector<Study::Line> summarize_validation(const StudyInput& in, const Study& study) {
    const auto& cases = study.validation;
    std::vector<Study::Line> table{
        {"layer_rescue", "block rescue at the selected layer (eq. 4)", summarize_known(in, cases.block_rescue)},
        {"expert_rescue", "rescue by the selected expert, 0 where it is not clean-active (eq. 5-6)",
         summarize_known(in, cases.expert_rescue)},
        {"spec", "expert_rescue minus the mean of the controls, cases with a control (eq. 7)",
         summarize_known(in, cases.spec)},
        {"expert_rescue_active", "expert_rescue, cases where the selected expert is clean-active",
         summarize_active(in, cases, cases.expert_rescue)},
        {"spec_active", "spec, cases where the selected expert is clean-active",
         summarize_active(in, cases, cases.spec)},
        {"control_mean", "mean rescue of the case's controls", summarize_known(in, cases.control_mean)}};
    const auto coalition = [&](const char* name, const char* meaning, Kind kind) {
        std::vector<double> values;
        for (auto case_index : cases.case_index)
            values.push_back(in.sweep.rescue(case_index, study.selected.layer, kind));
        const Summary summary = summarize_known(in, values);
        if (summary.n > 0) table.push_back({name, meaning, summary});
    };
    coalition("coalition_clean", "rescue by all clean-active experts of the layer together", Kind::coalition_clean);
    coalition("coalition_union", "rescue by all experts routed in either run together", Kind::coalition_union);
    return table;
}

}  // namespace moesweep
