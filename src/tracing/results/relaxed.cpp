#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "results.h"

namespace moesweep {
namespace {

/// The headline of a test: what there is of layer, expert and Spec.
std::vector<Quantity> headline(const StudyInput& in, Selection selected, const CaseList& cases) {
    const TestedCases tested = test_cases(in, in.sweep, selected, cases);
    std::vector<Quantity> lines{{"layer_rescue", summarize_known(in, tested.block_rescue)}};
    if (selected.expert >= 0) {
        lines.push_back({"expert_rescue", summarize_known(in, tested.expert_rescue)});
        lines.push_back({"spec", summarize_known(in, tested.spec)});
    }
    return lines;
}

/// True, with a note, where the relaxed study has no case to test.
bool note_no_validation(ResultTable& table, const StudyInput& in, const Halves& relaxed) {
    if (in.config.scale_up.limit == 0) {
        add_note(table, "No relaxed study was asked for (scale_up.limit = 0).");
    } else if (relaxed.validation.empty()) {
        add_note(table, fmt::format("The relaxed study has no validation case: {} discovery cases of the {} asked for.",
                                    relaxed.discovery.size(), in.config.scale_up.discovery));
    }
    return in.config.scale_up.limit == 0 || relaxed.validation.empty();
}

std::int32_t active_cases(const StudyInput& in, Selection selected, const CaseList& cases) {
    return static_cast<std::int32_t>(std::ranges::count_if(
        cases, [&](auto index) { return in.sweep.routed(index, selected.layer).has(selected.expert); }));
}

}  // namespace

ResultTable relaxed_table(const StudyInput& in, const Study&) {
    ResultTable table{
        "relaxed", "The relaxed study: its own selection on its discovery half, tested on its validation half", {}, {}};
    std::vector<Quantity> lines;
    const Halves relaxed = halves_of(in.data.cases, &Case::relaxed_split);
    if (!note_no_validation(table, in, relaxed)) {
        const Selection selected = choose(in.sweep, in.experts, relaxed.discovery, in.config.scale_up.recurrence);
        if (selected.layer < 0) {
            add_note(table,
                     "No layer is selected: the relaxed study has no discovery case, or there are no block rows.");
        } else {
            lines = headline(in, selected, relaxed.validation);
        }
        if (selected.layer >= 0 && selected.expert < 0) {
            add_note(table,
                     fmt::format("No expert of layer {} is clean-active in at least {} of the {} discovery cases: "
                                 "no expert is selected.",
                                 selected.layer, in.config.scale_up.recurrence, relaxed.discovery.size()));
        }
        const auto active = selected.expert < 0 ? 0 : active_cases(in, selected, relaxed.discovery);
        table.attributes.emplace_back("discovery_active", std::to_string(active));
        table.attributes.emplace_back("discovery_cases", std::to_string(relaxed.discovery.size()));
        table.attributes.emplace_back("layer", std::to_string(selected.layer));
        table.attributes.emplace_back("expert", std::to_string(selected.expert));
    }
    add_quantities(table, lines);
    return table;
}

ResultTable relaxed_transfer_table(const StudyInput& in, const Study& study) {
    ResultTable table{"relaxed_transfer",
                      "The strict study's layer and expert on the relaxed validation half: all of it, and without the "
                      "cases of the strict study",
                      {},
                      {}};
    std::vector<std::string> subsets;
    std::vector<Quantity> lines;
    const Halves relaxed = halves_of(in.data.cases, &Case::relaxed_split);
    const CaseList& all = relaxed.validation;
    const auto add = [&](const char* subset, const CaseList& cases) {
        for (auto& line : headline(in, study.selected, cases)) {
            subsets.push_back(subset);
            lines.push_back(std::move(line));
        }
    };
    if (!note_no_validation(table, in, relaxed) && !note_no_layer(table, study)) {
        CaseList fresh;
        std::ranges::copy_if(all, std::back_inserter(fresh),
                             [&](auto index) { return in.case_at(index).split == Split::none; });
        note_no_expert(table, study);
        add("all", all);
        if (fresh.empty()) {
            add_note(table, "Every relaxed validation case is also in the strict study: there are no new ones.");
        } else {
            add("new", fresh);
        }
        table.attributes.emplace_back("overlap", std::to_string(all.size() - fresh.size()));
    }
    table.columns.push_back({"subset", "", "all relaxed validation cases, or the new ones", std::move(subsets)});
    add_quantities(table, lines);
    return table;
}

}  // namespace moesweep
