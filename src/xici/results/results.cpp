#include "results.h"

#include <algorithm>

namespace moesweep {

bool Findings::Part::has(const Question& question) const {
    return std::ranges::any_of(datasets, [&](const DatasetContrast* d) { return d->name == question.dataset; });
}

std::vector<Findings::Part> Findings::parts() const {
    std::vector<Part> all;
    for (const DatasetContrast& dataset : contrast.datasets) all.push_back({dataset.name, {&dataset}});
    if (all.size() < 2) return all;
    Part whole{"all", {}};
    for (const DatasetContrast& dataset : contrast.datasets) whole.datasets.push_back(&dataset);
    all.push_back(std::move(whole));
    return all;
}

std::vector<ResultTable> result_tables(const Findings& findings) {
    std::vector<ResultTable> all;
    for (const auto& table : {rules_table, outcomes_table, languages_table, raters_table, identified_table,
                              layers_table, ablation_table, held_out_table, comparisons_table, unpaired_table})
        all.push_back(table(findings));
    return all;
}

}  // namespace moesweep
