#include <algorithm>
#include <cmath>

#include "moesweep/python_random.h"
#include "run.h"

namespace moesweep {
namespace {

/// The rescues of the controls drawn for a case go into the study's line, and their mean with them.
void draw_controls(const Run& run, const Study& study, std::int32_t case_index, Study::ValidationCases& lines) {
    auto others = run.clean_routing.experts(case_index, study.selected_layer);
    std::erase(others, study.selected_expert);
    const auto wanted = static_cast<std::size_t>(run.config.controls.random);
    const auto seed = run.config.controls.seed + run.cases[at(case_index)].fact.case_id;
    const auto drawn = PythonRandom(seed).sample(others.size(), std::min(wanted, others.size()));

    std::vector<double> rescues;
    for (auto position : drawn) {
        lines.control_expert.push_back(others[position]);
        rescues.push_back(run.expert_rescue(case_index, study.selected_layer, others[position]));
    }
    lines.control_expert.resize(lines.control_expert.size() + wanted - drawn.size(), -1);
    lines.controls.push_back(static_cast<std::int8_t>(drawn.size()));
    lines.control_mean.push_back(mean(rescues));
}

}  // namespace

Study::ValidationCases test_cases(const Run& run, const Study& study) {
    Study::ValidationCases lines;
    const auto width = static_cast<std::size_t>(run.config.controls.random);
    for (auto case_index : run.validation) {
        const double* block = run.row_index.find(case_index, study.selected_layer, Kind::block);
        lines.case_index.push_back(case_index);
        lines.block_rescue.push_back(block ? *block : nan);
        if (study.selected_expert < 0) {
            lines.active.push_back(0);
            lines.controls.push_back(0);
            lines.expert_rescue.push_back(nan);
            lines.control_mean.push_back(nan);
            lines.control_expert.resize(lines.control_expert.size() + width, -1);
        } else {
            const auto routed = run.clean_routing.experts(case_index, study.selected_layer);
            const bool active = std::ranges::binary_search(routed, study.selected_expert);
            lines.active.push_back(active);
            lines.expert_rescue.push_back(
                active ? run.expert_rescue(case_index, study.selected_layer, study.selected_expert) : 0);
            draw_controls(run, study, case_index, lines);
        }
        lines.spec.push_back(lines.expert_rescue.back() - lines.control_mean.back());
    }
    return lines;
}

std::vector<Study::Line> summarize_validation(const Run& run, const Study& study) {
    const auto& cases = study.validation;
    const auto line = [&](const char* name, const char* meaning, const std::vector<double>& values, bool active_only) {
        std::vector<double> kept;
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (!std::isnan(values[i]) && (!active_only || cases.active[i])) kept.push_back(values[i]);
        }
        return Study::Line{name, meaning, summarize(kept, run.stats)};
    };
    std::vector<Study::Line> table{
        line("layer_rescue", "block rescue at the selected layer (eq. 4)", cases.block_rescue, false),
        line("expert_rescue", "rescue by the selected expert, 0 where it is not clean-active (eq. 5-6)",
             cases.expert_rescue, false),
        line("spec", "expert_rescue minus the mean of the controls, cases with a control (eq. 7)", cases.spec, false),
        line("expert_rescue_active", "expert_rescue, cases where the selected expert is clean-active",
             cases.expert_rescue, true),
        line("spec_active", "spec, cases where the selected expert is clean-active", cases.spec, true),
        line("control_mean", "mean rescue of the case's controls", cases.control_mean, false)};
    const auto coalition = [&](const char* name, const char* meaning, Kind kind) {
        const auto values = run.rescues(run.validation, study.selected_layer, kind);
        if (!values.empty()) table.push_back({name, meaning, summarize(values, run.stats)});
    };
    coalition("coalition_clean", "rescue by all clean-active experts of the layer together", Kind::coalition_clean);
    coalition("coalition_union", "rescue by all experts routed in either run together", Kind::coalition_union);
    return table;
}

}  // namespace moesweep
