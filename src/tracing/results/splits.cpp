#include <fmt/format.h>

#include <algorithm>

#include "results.h"

namespace moesweep {
namespace {

/// The study's cases divided anew, with as large a discovery half.
Halves reshuffled(const StudyInput& in, std::int64_t seed) {
    const CaseList order = split_order(in.halves.both(), seed);
    const auto middle = order.begin() + std::ssize(in.halves.discovery);
    Halves halves{{order.begin(), middle}, {middle, order.end()}};
    std::ranges::sort(halves.discovery);
    std::ranges::sort(halves.validation);
    return halves;
}

/// A selection on one split with one threshold, tested at the study's layer.
struct Repetition {
    std::int64_t seed, threshold;
    Selection chosen;                 ///< layer and expert
    std::int32_t at_main_layer = -1;  ///< expert
    Summary rescue, spec;
};

std::vector<Repetition> repetitions(const StudyInput& in, std::int32_t main_layer) {
    std::vector<Repetition> all;
    for (auto seed : in.config.stability.split_seeds.values()) {
        const Halves halves = reshuffled(in, seed);
        for (auto threshold : in.config.stability.thresholds.values()) {
            Repetition one{seed, threshold, choose(in.sweep, in.experts, halves.discovery, threshold)};
            one.at_main_layer = choose_expert(in.sweep, main_layer, in.experts, halves.discovery, threshold);
            const auto tested = test_cases(in, in.sweep, {main_layer, one.at_main_layer}, halves.validation);
            one.rescue = summarize_known(in, tested.expert_rescue);
            one.spec = summarize_known(in, tested.spec);
            all.push_back(one);
        }
    }
    return all;
}

/// How many settings agree with the study, and the means over all that selected any expert.
void add_agreement(ResultTable& table, const std::vector<Repetition>& all, std::int32_t selected) {
    std::vector<double> rescue, spec;
    for (const auto& one : all) {
        if (one.rescue.n > 0) rescue.push_back(one.rescue.mean);
        if (one.spec.n > 0) spec.push_back(one.spec.mean);
    }
    const auto same = std::ranges::count(all, selected, &Repetition::at_main_layer);
    table.attributes.emplace_back("selected_in", fmt::format("{}/{}", selected < 0 ? 0 : same, all.size()));
    if (!rescue.empty()) table.attributes.emplace_back("mean_rescue", fmt::format("{}", mean(rescue)));
    if (!spec.empty()) table.attributes.emplace_back("mean_spec", fmt::format("{}", mean(spec)));
}

}  // namespace

ResultTable split_cases_table(const StudyInput& in, const Study&) {
    struct Line {
        std::int64_t case_id;
        std::string split;
        std::int32_t position;
    };
    std::vector<Line> lines;
    for (auto case_index : split_order(in.halves.both(), in.config.cases.seed)) {
        const Case& item = in.case_at(case_index);
        lines.push_back(
            {item.fact.case_id, split_names[static_cast<int>(item.split)], static_cast<std::int32_t>(lines.size())});
    }
    ResultTable table{"split_cases",
                      "The cases in the order of the split",
                      {{"case_id", "", "the record's id", values_of(lines, &Line::case_id)},
                       {"split", "", "half of the study", values_of(lines, &Line::split)},
                       {"position", "", "place in the split order, from 0", values_of(lines, &Line::position)}},
                      {}};
    if (lines.empty()) add_note(table, "The study has no case.");
    return table;
}

ResultTable stability_table(const StudyInput& in, const Study& study) {
    ResultTable table{
        "stability",
        "The selection under other splits of the same cases and other thresholds of recurrence; rescue and "
        "Spec of the expert at the study's layer, over the cases of that split's validation half",
        {},
        {}};
    std::vector<Repetition> lines;
    if (!note_no_layer(table, study)) {
        lines = repetitions(in, study.selected.layer);
        if (lines.empty()) add_note(table, "No split seed or no threshold was asked for (stability.*).");
        if (in.halves.validation.empty()) add_note(table, "The splits leave no validation case.");
        const auto without = std::ranges::count(lines, -1, &Repetition::at_main_layer);
        if (without > 0) {
            add_note(table, fmt::format("{} of {} settings have no recurrent expert at layer {}.", without,
                                        lines.size(), study.selected.layer));
        }
        add_agreement(table, lines, study.selected.expert);
    }
    table.columns = {{"seed", "", "of the split, as cases.seed", values_of(lines, &Repetition::seed)},
                     {"threshold", "", "discovery cases in which a candidate must be active",
                      values_of(lines, &Repetition::threshold)},
                     {"layer", "", "layer selected on this split",
                      values_of(lines, [](const Repetition& s) { return s.chosen.layer; })},
                     {"expert", "", "expert selected there; -1: none",
                      values_of(lines, [](const Repetition& s) { return s.chosen.expert; })},
                     {"expert_at_main_layer", "", "expert selected at the study's layer; -1: none",
                      values_of(lines, &Repetition::at_main_layer)}};
    add_summaries(table, "rescue", values_of(lines, &Repetition::rescue));
    add_summaries(table, "spec", values_of(lines, &Repetition::spec));
    return table;
}

}  // namespace moesweep
