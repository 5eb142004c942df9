#include "moesweep/tracing/study.h"

#include <algorithm>
#include <iterator>

#include "tracing/results/results.h"

namespace moesweep {
namespace {

void add_note(Study& study, const std::string& sentence) {
    if (!study.note.empty()) study.note += ' ';
    study.note += sentence;
}

void note_small_halves(const TracingConfig& config, Study& study) {
    if (study.discovery_cases < config.cases.discovery) {
        add_note(study, fmt::format("Discovery has {} usable cases of the {} asked for.", study.discovery_cases,
                                    config.cases.discovery));
    }
    if (study.validation_cases == 0) add_note(study, "No validation case: nothing tests the selection.");
}

void note_selection(const StudyInput& in, Study& study) {
    const auto [layer, expert] = study.selected;
    if (layer < 0) {
        add_note(study, study.layers.layer.empty() ? "There are no block rows: no layer is selected."
                                                   : "No discovery case: no layer is selected.");
    } else if (!in.sweep.has_experts(layer)) {
        add_note(study, fmt::format("Layer {} has no expert rows: no expert is selected.", layer));
    } else if (expert < 0) {
        add_note(study,
                 fmt::format("No expert of layer {} is clean-active in at least {} of the {} discovery cases: no "
                             "expert is selected.",
                             layer, in.config.select.recurrence, study.discovery_cases));
    }
}

void note_controls(const TracingConfig& config, Study& study) {
    const auto& controls = study.validation.controls;
    const auto without = std::ranges::count(controls, std::int8_t{0});
    if (study.selected.expert < 0 || without == 0) return;
    add_note(study,
             config.controls.random == 0
                 ? std::string("No controls were asked for (controls.random = 0): there is no Spec.")
                 : fmt::format("{} of {} validation cases have no other clean-active expert at layer {}: no control "
                               "and no Spec there.",
                               without, controls.size(), study.selected.layer));
}

Selection choose(const StudyInput& in) {
    return choose(in.sweep, in.experts, in.halves.discovery, in.config.select.recurrence);
}

Study study_of(const StudyInput& in) {
    Study study;
    study.discovery_cases = static_cast<std::int32_t>(in.halves.discovery.size());
    study.validation_cases = static_cast<std::int32_t>(in.halves.validation.size());
    note_small_halves(in.config, study);
    study.layers = score_layers(in);
    study.selected = choose(in);
    study.heatmap = map_experts(in);
    note_selection(in, study);
    const auto layer = study.selected.layer;
    if (layer < 0) return study;
    study.candidates = rank_candidates(in.sweep, layer, in.experts, in.halves, in.config.select.recurrence);
    study.selected_by_active_mean = best_recurrent(study.candidates, study.candidates.discovery_rescue_active);
    study.validation = test_cases(in, in.sweep, study.selected, in.halves.validation);
    note_controls(in.config, study);
    study.main_results = summarize_validation(in, study);
    return study;
}

}  // namespace

Halves halves_of(const std::vector<Case>& cases, Split Case::*split) {
    Halves halves;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        if (cases[i].*split == Split::discovery) halves.discovery.push_back(index);
        if (cases[i].*split == Split::validation) halves.validation.push_back(index);
    }
    return halves;
}

CaseList Halves::both() const {
    CaseList cases;
    std::ranges::set_union(discovery, validation, std::back_inserter(cases));
    return cases;
}

StudyResults run_study(const TracingConfig& config, const StudyData& data) {
    const StudyInput in{config, data};
    StudyResults results{study_of(in), {}};
    results.tables = result_tables(in, results.study);
    return results;
}

Selection select_expert(const TracingConfig& config, const StudyData& data) {
    return choose(StudyInput{config, data});
}

}  // namespace moesweep
