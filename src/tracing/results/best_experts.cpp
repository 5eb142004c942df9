#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "results.h"

namespace moesweep {
namespace {

/// A recurrent expert of some layer.
struct Candidate {
    Selection place;
    std::int32_t discovery_active;
    double discovery_rescue;  ///< mean over all discovery cases
};

std::vector<Candidate> recurrent_experts(const StudyInput& in, std::int32_t layer) {
    std::vector<Candidate> found;
    if (!in.sweep.has_experts(layer)) return found;
    const auto all = rank_candidates(in.sweep, layer, in.experts, in.halves, in.config.select.recurrence);
    for (std::size_t e = 0; e < all.expert.size(); ++e) {
        if (all.recurrent[e])
            found.push_back({{layer, all.expert[e]}, all.discovery_active[e], all.discovery_rescue[e]});
    }
    return found;
}

/// By discovery mean descending; ties keep the lower layer, then the lower expert.
void sort_best_first(std::vector<Candidate>& candidates) {
    std::ranges::stable_sort(candidates, std::greater<>{}, &Candidate::discovery_rescue);
}

void add_candidates(ResultTable& table, const std::vector<Candidate>& lines) {
    table.columns = {
        {"layer", "", "decoder layer, from 0", values_of(lines, [](const Candidate& c) { return c.place.layer; })},
        {"expert", "", "expert index, from 0", values_of(lines, [](const Candidate& c) { return c.place.expert; })},
        {"discovery_active", "", "discovery cases whose clean run routes to it",
         values_of(lines, &Candidate::discovery_active)},
        {"discovery_rescue", "logit", "mean rescue over all discovery cases, inactive = 0",
         values_of(lines, &Candidate::discovery_rescue)}};
}

void note_none(ResultTable& table, const StudyInput& in, const std::string& where) {
    add_note(table, fmt::format("No expert with rows is clean-active in at least {} of the {} discovery cases at {}.",
                                in.config.select.recurrence, in.halves.discovery.size(), where));
}

}  // namespace

ResultTable layer_best_table(const StudyInput& in, const Study&) {
    ResultTable table{"layer_best",
                      "Every layer's recurrent expert with the highest mean rescue on discovery, tested on validation",
                      {},
                      {}};
    std::vector<Candidate> lines;
    std::string without;
    for (auto layer : in.sweep.layers()) {
        auto candidates = recurrent_experts(in, layer);
        sort_best_first(candidates);
        if (candidates.empty()) {
            without += fmt::format("{}{}", without.empty() ? "" : ", ", layer);
        } else {
            lines.push_back(candidates.front());
        }
    }
    if (!without.empty()) note_none(table, in, "layers " + without);
    if (in.halves.validation.empty()) add_note(table, "There is no validation case.");

    std::vector<Summary> rescue, spec;
    for (const auto& line : lines) {
        const TestedCases tested = test_cases(in, in.sweep, line.place, in.halves.validation);
        rescue.push_back(summarize_known(in, tested.expert_rescue));
        spec.push_back(summarize_known(in, tested.spec));
    }
    add_candidates(table, lines);
    add_summaries(table, "rescue", rescue);
    add_summaries(table, "spec", spec);
    return table;
}

ResultTable joint_table(const StudyInput& in, const Study&) {
    constexpr std::size_t longest = 20;
    ResultTable table{
        "joint",
        "The recurrent experts of all layers with the highest mean rescue on discovery: the first is what "
        "a joint search over layers and experts selects",
        {},
        {}};
    std::vector<Candidate> lines;
    for (auto layer : in.sweep.layers()) std::ranges::copy(recurrent_experts(in, layer), std::back_inserter(lines));
    sort_best_first(lines);
    lines.resize(std::min(lines.size(), longest));
    if (lines.empty()) note_none(table, in, "any layer");
    if (in.halves.validation.empty()) add_note(table, "There is no validation case.");

    add_candidates(table, lines);
    table.columns.push_back({"validation_rescue", "logit", "mean rescue over all validation cases, inactive = 0",
                             values_of(lines, [&](const Candidate& c) {
                                 return mean(test_cases(in, in.sweep, c.place, in.halves.validation).expert_rescue);
                             })});
    return table;
}

}  // namespace moesweep
