#include "results.h"

#include <fmt/format.h>

namespace moesweep {

namespace {

/// A table, and the place in arXiv 2606.03780 that prints its like, where there is one.
struct Entry {
    ResultTable (*make)(const StudyInput&, const Study&);
    const char* paper = nullptr;
};

constexpr Entry entries[] = {
    {summary_table},
    {layers_table},
    {candidates_table},
    {heatmap_table},
    {validation_table},
    {main_results_table, "Table 1"},
    {protocol_table, "Table 2"},
    {activity_table, "Table 3"},
    {relations_table, "Table 4"},
    {relation_results_table, "Table 5"},
    {layer_gap_table, "Table 6"},
    {ratios_table, "Table 7"},
    {split_cases_table, "Table 8"},
    {gate_matched_table, "Table 9"},
    {ranks_table, "Table 10"},
    {two_experts_table, "Table 11"},
    {stability_table, "Appendix D"},
    {relation_folds_table, "Table 12"},
    {noise_scales_table, "Table 13"},
    {draws_table},
    {relaxed_table, "Table 14"},
    {relaxed_transfer_table, "Table 15"},
    {coalitions_table, "Table 16"},
    {layer_best_table},
    {joint_table},
    {shapley_table},
};

}  // namespace

std::vector<ResultTable> result_tables(const StudyInput& in, const Study& study) {
    std::vector<ResultTable> tables;
    for (const Entry& entry : entries) {
        tables.push_back(entry.make(in, study));
        if (entry.paper)
            tables.back().attributes.emplace_back("paper", fmt::format("arXiv 2606.03780, {}", entry.paper));
    }
    return tables;
}

void add_quantities(ResultTable& table, const std::vector<Quantity>& lines) {
    std::vector<std::string> names;
    std::vector<Summary> summaries;
    for (const auto& line : lines) {
        names.push_back(line.name);
        summaries.push_back(line.summary);
    }
    table.columns.push_back({"quantity", "", "what the line is about", std::move(names)});
    add_summaries(table, "", summaries);
}

void add_summaries(ResultTable& table, std::string_view prefix, const std::vector<Summary>& summaries) {
    const auto add = [&](const char* name, const char* unit, const char* meaning, auto get) {
        std::vector<decltype(get(Summary{}))> values;
        for (const auto& summary : summaries) values.push_back(get(summary));
        table.columns.push_back(
            {prefix.empty() ? name : fmt::format("{}_{}", prefix, name), unit, meaning, std::move(values)});
    };
    add("n", "", "cases in the mean", [](const Summary& s) { return s.n; });
    add("mean", "logit", "mean over these cases", [](const Summary& s) { return s.mean; });
    add("ci_low", "logit", "95% percentile bootstrap interval over cases, lower end",
        [](const Summary& s) { return s.ci.low; });
    add("ci_high", "logit", "95% percentile bootstrap interval over cases, upper end",
        [](const Summary& s) { return s.ci.high; });
    add("p", "", "two-sided sign-flip p value of mean = 0", [](const Summary& s) { return s.p; });
    add("positive_fraction", "", "share of cases above 0", [](const Summary& s) { return s.positive_fraction; });
}

void add_note(ResultTable& table, std::string_view sentence) {
    for (auto& [key, value] : table.attributes) {
        if (key != "note") continue;
        value += fmt::format(" {}", sentence);
        return;
    }
    table.attributes.emplace_back("note", sentence);
}

bool note_no_layer(ResultTable& table, const Study& study) {
    if (study.selected.layer >= 0) return false;
    add_note(table, "No layer is selected: " + study.note);
    return true;
}

bool note_no_expert(ResultTable& table, const Study& study) {
    if (study.selected.expert >= 0) return false;
    add_note(table, "No expert is selected: " + study.note);
    return true;
}

}  // namespace moesweep
