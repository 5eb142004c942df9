#include "moesweep/study.h"

#include <algorithm>
#include <cmath>

#include "moesweep/error.h"
#include "run.h"

namespace moesweep {
namespace {

void check_tables(const std::vector<Case>& cases, const RoutingTable& routing, const RowTable& rows,
                  std::int32_t experts) {
    const auto in_range = [](std::int32_t value, std::int32_t low, std::int64_t end) {
        return value >= low && value < end;
    };
    const auto n_cases = static_cast<std::int64_t>(cases.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!in_range(rows.case_index[i], 0, n_cases)) {
            fail(Exit::data, "rows: case: line {} has {}, expected 0 to {}", i, rows.case_index[i], n_cases - 1);
        }
        const std::int32_t least = rows.kind[i] == Kind::expert ? 0 : -1;
        if (!in_range(rows.expert[i], least, experts)) {
            fail(Exit::data, "rows: expert: line {} has {}, expected {} to {}", i, rows.expert[i], least, experts - 1);
        }
        if (!std::isfinite(rows.rescue[i])) {
            fail(Exit::data, "rows: rescue: line {} (case {}, layer {}) has {}, expected a finite number", i,
                 rows.case_index[i], rows.layer[i], rows.rescue[i]);
        }
    }
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (!in_range(routing.case_index[i], 0, n_cases)) {
            fail(Exit::data, "routing: case: line {} has {}, expected 0 to {}", i, routing.case_index[i], n_cases - 1);
        }
    }
    for (std::size_t i = 0; i < routing.expert.size(); ++i) {
        if (!in_range(routing.expert[i], 0, experts)) {
            fail(Exit::data, "routing: expert: line {} has {}, expected 0 to {}", i / at(routing.k), routing.expert[i],
                 experts - 1);
        }
    }
}

void add_note(Study& study, const std::string& sentence) {
    if (!study.note.empty()) study.note += ' ';
    study.note += sentence;
}

void note_small_halves(const Config& config, Study& study) {
    if (study.discovery_cases < config.cases.discovery) {
        add_note(study, fmt::format("Discovery has {} usable cases of the {} asked for.", study.discovery_cases,
                                    config.cases.discovery));
    }
    if (study.validation_cases == 0) add_note(study, "No validation case: nothing tests the selection.");
}

void choose_expert(const Run& run, Study& study) {
    const auto layer = study.selected_layer;
    study.candidates = rank_candidates(run, layer);
    if (!run.has_expert_rows(layer)) {
        add_note(study, fmt::format("Layer {} has no expert rows: no expert is selected.", layer));
        return;
    }
    study.selected_expert = select_expert(study.candidates, study.candidates.discovery_rescue);
    study.selected_by_active_mean = select_expert(study.candidates, study.candidates.discovery_rescue_active);
    if (study.selected_expert < 0) {
        add_note(study,
                 fmt::format("No expert of layer {} is clean-active in at least {} of the {} discovery cases: no "
                             "expert is selected.",
                             layer, run.config.select.recurrence, study.discovery_cases));
    }
}

void note_controls(const Config& config, Study& study) {
    const auto& controls = study.validation.controls;
    const auto without = std::ranges::count(controls, std::int8_t{0});
    if (study.selected_expert < 0 || without == 0) return;
    add_note(study,
             config.controls.random == 0
                 ? std::string("No controls were asked for (controls.random = 0): there is no Spec.")
                 : fmt::format("{} of {} validation cases have no other clean-active expert at layer {}: no control "
                               "and no Spec there.",
                               without, controls.size(), study.selected_layer));
}

}  // namespace

std::vector<std::int32_t> Run::half(Split split) const {
    std::vector<std::int32_t> indices;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (cases[i].split == split) indices.push_back(static_cast<std::int32_t>(i));
    }
    return indices;
}

bool Run::in_study(std::int32_t case_index) const {
    return cases[at(case_index)].split != Split::none;
}

bool Run::has_expert_rows(std::int32_t layer) const {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.kind[i] == Kind::expert && rows.layer[i] == layer) return true;
    }
    return false;
}

double Run::expert_rescue(std::int32_t case_index, std::int32_t layer, std::int32_t expert) const {
    const double* rescue = row_index.find(case_index, layer, Kind::expert, expert);
    return rescue ? *rescue : 0;
}

std::vector<double> Run::rescues(const std::vector<std::int32_t>& of, std::int32_t layer, Kind kind) const {
    std::vector<double> values;
    for (auto case_index : of) {
        if (const double* rescue = row_index.find(case_index, layer, kind)) values.push_back(*rescue);
    }
    return values;
}

Study run_study(const Config& config, const std::vector<Case>& cases, const RoutingTable& routing, const RowTable& rows,
                std::int32_t experts) {
    check_tables(cases, routing, rows, experts);
    const Run run{config, cases, routing, rows, experts};
    Study study;
    study.discovery_cases = static_cast<std::int32_t>(run.discovery.size());
    study.validation_cases = static_cast<std::int32_t>(run.validation.size());
    note_small_halves(config, study);

    study.layers = score_layers(run);
    study.heatmap = map_experts(run);
    study.selected_layer = select_layer(study.layers);
    if (study.selected_layer < 0) {
        add_note(study, study.layers.layer.empty() ? "There are no block rows: no layer is selected."
                                                   : "No discovery case: no layer is selected.");
        return study;
    }
    choose_expert(run, study);
    study.validation = test_cases(run, study);
    note_controls(config, study);
    study.table1 = summarize_validation(run, study);
    return study;
}

}  // namespace moesweep
