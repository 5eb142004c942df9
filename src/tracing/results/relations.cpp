#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <tuple>

#include "results.h"

namespace moesweep {
namespace {

/// A relation and its cases, ascending.
struct Relation {
    std::string name;
    CaseList cases;
    std::int64_t n() const { return std::ssize(cases); }
};

/// By number of cases descending, then in the order of their first case.
std::vector<Relation> relations_of(const StudyInput& in, const CaseList& cases) {
    std::vector<Relation> relations;
    std::map<std::string, std::size_t> line_of;
    for (auto case_index : cases) {
        const auto& name = in.case_at(case_index).fact.relation;
        const auto [line, is_new] = line_of.try_emplace(name, relations.size());
        if (is_new) relations.push_back({name, {}});
        relations[line->second].cases.push_back(case_index);
    }
    std::ranges::stable_sort(relations, std::greater<>{}, &Relation::n);
    return relations;
}

/// The cases of some relations that are held out, and what the others select.
struct Fold {
    std::int32_t fold;
    std::string relations;
    CaseList held_out;
    std::int32_t expert = -1;
    TestedCases tested;

    auto cases() const { return std::ssize(held_out); }
    auto active() const { return std::ranges::count(tested.active, std::int8_t{1}); }
};

std::vector<Fold> make_folds(const StudyInput& in) {
    std::vector<Fold> folds(static_cast<std::size_t>(in.config.stability.folds));
    for (std::size_t f = 0; f < folds.size(); ++f) folds[f].fold = static_cast<std::int32_t>(f);
    const auto relations = relations_of(in, in.halves.both());
    for (std::size_t r = 0; r < relations.size(); ++r) {
        Fold& fold = folds[r % folds.size()];
        fold.relations += (fold.relations.empty() ? "" : ",") + relations[r].name;
        fold.held_out.insert(fold.held_out.end(), relations[r].cases.begin(), relations[r].cases.end());
    }
    for (Fold& fold : folds) std::ranges::sort(fold.held_out);
    return folds;
}

void select_and_test(const StudyInput& in, std::int32_t layer, Fold& fold) {
    CaseList others;
    std::ranges::set_difference(in.halves.both(), fold.held_out, std::back_inserter(others));
    fold.expert = choose_expert(in.sweep, layer, in.experts, others, in.config.select.recurrence);
    fold.tested = test_cases(in, in.sweep, {layer, fold.expert}, fold.held_out);
}

/// All held-out cases in scan order, each tested with its own fold's expert.
Fold pool(const std::vector<Fold>& folds) {
    Fold all{-1, "all", {}, folds.front().expert, {}};
    std::vector<std::tuple<std::int32_t, std::int8_t, double, double>> lines;
    for (const Fold& fold : folds) {
        if (fold.expert != all.expert) all.expert = -1;
        const auto& t = fold.tested;
        for (std::size_t i = 0; i < fold.held_out.size(); ++i)
            lines.emplace_back(fold.held_out[i], t.active[i], t.expert_rescue[i], t.spec[i]);
    }
    std::ranges::sort(lines, {}, [](const auto& line) { return std::get<0>(line); });
    for (const auto& [case_index, active, rescue, spec] : lines) {
        all.held_out.push_back(case_index);
        all.tested.active.push_back(active);
        all.tested.expert_rescue.push_back(rescue);
        all.tested.spec.push_back(spec);
    }
    return all;
}

void note_folds(ResultTable& table, const StudyInput& in, const std::vector<Fold>& folds) {
    for (const Fold& fold : folds) {
        if (fold.held_out.empty()) {
            add_note(table, fmt::format("Fold {} has no relation and no case.", fold.fold));
        } else if (fold.expert < 0) {
            add_note(table, fmt::format("Without fold {}, no expert is clean-active in at least {} cases.", fold.fold,
                                        in.config.select.recurrence));
        }
    }
}

}  // namespace

ResultTable relations_table(const StudyInput& in, const Study&) {
    const auto relations = relations_of(in, in.halves.both());
    ResultTable table{"relations",
                      "Relations of the cases of both halves",
                      {{"relation", "", "the record's relation", values_of(relations, &Relation::name)},
                       {"n", "", "cases", values_of(relations, &Relation::n)}},
                      {}};
    if (relations.empty()) add_note(table, "The study has no case.");
    return table;
}

ResultTable relation_results_table(const StudyInput& in, const Study& study) {
    constexpr std::size_t longest = 10;
    ResultTable table{
        "relation_results",
        "The ten most frequent relations of the validation cases that have a Spec, at the selected expert",
        {},
        {}};
    struct Line {
        std::string relation;
        Summary rescue, spec;
    };
    std::vector<Line> lines;
    if (!note_no_expert(table, study)) {
        const TestedCases& tested = study.validation;
        CaseList with_spec;
        std::map<std::int32_t, std::size_t> line_of;
        for (std::size_t i = 0; i < tested.case_index.size(); ++i) {
            if (tested.controls[i] == 0) continue;
            with_spec.push_back(tested.case_index[i]);
            line_of[tested.case_index[i]] = i;
        }
        if (with_spec.size() < tested.case_index.size()) {
            add_note(table, fmt::format("{} of {} validation cases have a control, and with it a Spec.",
                                        with_spec.size(), tested.case_index.size()));
        }
        auto relations = relations_of(in, with_spec);
        relations.resize(std::min(relations.size(), longest));
        for (const auto& relation : relations) {
            const auto of = [&](const std::vector<double>& column) {
                return summarize(values_of(relation.cases, [&](auto c) { return column[line_of.at(c)]; }), in.stats);
            };
            lines.push_back({relation.name, of(tested.expert_rescue), of(tested.spec)});
        }
        if (tested.case_index.empty()) add_note(table, "There is no validation case.");
    }
    table.columns = {{"relation", "", "the record's relation", values_of(lines, &Line::relation)},
                     {"n", "", "its validation cases", values_of(lines, [](const Line& l) { return l.rescue.n; })},
                     {"expert_rescue", "logit", "mean rescue of the selected expert, inactive = 0",
                      values_of(lines, [](const Line& l) { return l.rescue.mean; })},
                     {"spec", "logit", "mean Spec", values_of(lines, [](const Line& l) { return l.spec.mean; })},
                     {"positive_fraction", "", "share of cases with Spec > 0",
                      values_of(lines, [](const Line& l) { return l.spec.positive_fraction; })}};
    return table;
}

ResultTable relation_folds_table(const StudyInput& in, const Study& study) {
    ResultTable table{
        "relation_folds",
        "Whole relations held out: at the selected layer, an expert is selected on the cases of the other "
        "folds and tested on the held-out ones; the last line pools them",
        {},
        {}};
    std::vector<Fold> folds;
    if (in.config.stability.folds < 2) {
        add_note(table, fmt::format("stability.folds = {}: nothing is held out.", in.config.stability.folds));
    } else if (!note_no_layer(table, study)) {
        folds = make_folds(in);
        for (Fold& fold : folds) select_and_test(in, study.selected.layer, fold);
        note_folds(table, in, folds);
        folds.push_back(pool(folds));
    }
    table.columns = {
        {"fold", "", "fold, from 0; -1: all of them", values_of(folds, &Fold::fold)},
        {"relations", "", "held-out relations", values_of(folds, &Fold::relations)},
        {"held_out", "", "held-out cases", values_of(folds, &Fold::cases)},
        {"active", "", "held-out cases whose clean run routes to the expert", values_of(folds, &Fold::active)},
        {"expert", "", "expert selected on the others; -1: none, or not the same in all folds",
         values_of(folds, &Fold::expert)}};
    add_summaries(table, "rescue",
                  values_of(folds, [&](const Fold& f) { return summarize_known(in, f.tested.expert_rescue); }));
    add_summaries(table, "spec", values_of(folds, [&](const Fold& f) { return summarize_known(in, f.tested.spec); }));
    return table;
}

}  // namespace moesweep
