#include "moesweep/tracing/study.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "moesweep/base/error.h"
#include "tracing/results/results.h"

namespace moesweep {
namespace {

/// `name` says whose tables they are: "", "controls: ", ...
void check_rows(const std::string& name, const RowTable& rows, std::size_t cases, std::int32_t experts) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.case_index[i] < 0 || at(rows.case_index[i]) >= cases) {
            fail(Exit::data, "{}rows: case: line {} has {}, expected 0 to {}", name, i, rows.case_index[i],
                 static_cast<std::int64_t>(cases) - 1);
        }
        const bool names_one = rows.kind[i] == Kind::expert || rows.kind[i] == Kind::equal_norm;
        const std::int32_t least = names_one ? 0 : -1;
        if (rows.expert[i] < least || rows.expert[i] >= experts) {
            fail(Exit::data, "{}rows: expert: line {} has {}, expected {} to {}", name, i, rows.expert[i], least,
                 experts - 1);
        }
        if (!std::isfinite(rows.rescue[i])) {
            fail(Exit::data, "{}rows: rescue: line {} (case {}, layer {}) has {}, expected a finite number", name, i,
                 rows.case_index[i], rows.layer[i], rows.rescue[i]);
        }
    }
}

void check_routing(const std::string& name, const RoutingTable& routing, std::size_t cases, std::int32_t experts) {
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (routing.case_index[i] < 0 || at(routing.case_index[i]) >= cases) {
            fail(Exit::data, "{}routing: case: line {} has {}, expected 0 to {}", name, i, routing.case_index[i],
                 static_cast<std::int64_t>(cases) - 1);
        }
    }
    for (std::size_t i = 0; i < routing.expert.size(); ++i) {
        if (routing.expert[i] < 0 || routing.expert[i] >= experts) {
            fail(Exit::data, "{}routing: expert: line {} has {}, expected 0 to {}", name, i / at(routing.k),
                 routing.expert[i], experts - 1);
        }
    }
}

void check_tables(const RunTables& run, std::int32_t experts) {
    const auto check = [&](const std::string& name, const UnitTables& tables) {
        check_rows(name, tables.rows, run.cases.size(), experts);
        check_routing(name, tables.routing, run.cases.size(), experts);
    };
    check("", run.sweep);
    for (const auto& condition : run.conditions)
        check(fmt::format("noise scale {}, draw {}: ", condition.scale, condition.draw), condition.tables);
    check_rows("controls: ", run.controls, run.cases.size(), experts);
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

void note_selection(const Run& run, Study& study) {
    const auto [layer, expert] = study.selected;
    if (layer < 0) {
        add_note(study, study.layers.layer.empty() ? "There are no block rows: no layer is selected."
                                                   : "No discovery case: no layer is selected.");
    } else if (!run.sweep.has_experts(layer)) {
        add_note(study, fmt::format("Layer {} has no expert rows: no expert is selected.", layer));
    } else if (expert < 0) {
        add_note(study,
                 fmt::format("No expert of layer {} is clean-active in at least {} of the {} discovery cases: no "
                             "expert is selected.",
                             layer, run.config.select.recurrence, study.discovery_cases));
    }
}

void note_controls(const Config& config, Study& study) {
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

Selection choose(const Run& run) {
    return choose(run.sweep, run.experts, run.halves.discovery, run.config.select.recurrence);
}

Study study_of(const Run& run) {
    Study study;
    study.discovery_cases = static_cast<std::int32_t>(run.halves.discovery.size());
    study.validation_cases = static_cast<std::int32_t>(run.halves.validation.size());
    note_small_halves(run.config, study);
    study.layers = score_layers(run);
    study.selected = choose(run);
    study.heatmap = map_experts(run);
    note_selection(run, study);
    const auto layer = study.selected.layer;
    if (layer < 0) return study;
    study.candidates = rank_candidates(run.sweep, layer, run.experts, run.halves, run.config.select.recurrence);
    study.selected_by_active_mean = best_recurrent(study.candidates, study.candidates.discovery_rescue_active);
    study.validation = test_cases(run, run.sweep, study.selected, run.halves.validation);
    note_controls(run.config, study);
    study.table1 = summarize_validation(run, study);
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

StudyResults run_study(const Config& config, const RunTables& tables, std::int32_t experts) {
    check_tables(tables, experts);
    const Run run{config, tables, experts};
    StudyResults results{study_of(run), {}};
    results.tables = result_tables(run, results.study);
    return results;
}

Selection select_expert(const Config& config, const RunTables& tables, std::int32_t experts) {
    check_tables(tables, experts);
    return choose(Run{config, tables, experts});
}

}  // namespace moesweep
