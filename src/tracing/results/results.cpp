#include "results.h"

#include <fmt/format.h>

namespace moesweep {

std::vector<ResultTable> result_tables(const Run& run, const Study& study) {
    using Maker = ResultTable (*)(const Run&, const Study&);
    static constexpr Maker makers[] = {
        // clang-format off
        summary_table, layers_table, candidates_table, heatmap_table, validation_table,
        table1, table2, table3, table4, table5, table6, table7, table8, table9, table10, table11,
        table12, relation_folds_table, table13, draws_table, table14, table15, table16,
        layer_best_table, joint_table, shapley_table,
        // clang-format on
    };
    std::vector<ResultTable> tables;
    for (const Maker make : makers) tables.push_back(make(run, study));
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
