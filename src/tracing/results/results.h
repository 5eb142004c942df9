// The tables of /results: one function each, in a file named after what it holds. Private to this room.
// A table is named by what it shows; its attribute "paper" says where a paper prints its like. A new table is one
// function, declared here, and one line in results.cpp. A table that cannot be made keeps its columns, has no line, and
// says why by add_note.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tracing/study/study_input.h"

namespace moesweep {

/// Every table, in the order of the list in results.cpp.
std::vector<ResultTable> result_tables(const StudyInput& in, const Study& study);

// rules.cpp
ResultTable summary_table(const StudyInput& in, const Study& study);
ResultTable protocol_table(const StudyInput& in, const Study& study);
// layers.cpp
ResultTable layers_table(const StudyInput& in, const Study& study);
ResultTable layer_gap_table(const StudyInput& in, const Study& study);
// experts.cpp
ResultTable candidates_table(const StudyInput& in, const Study& study);
ResultTable heatmap_table(const StudyInput& in, const Study& study);
// best_experts.cpp
ResultTable layer_best_table(const StudyInput& in, const Study& study);
ResultTable joint_table(const StudyInput& in, const Study& study);
// main_results.cpp
ResultTable validation_table(const StudyInput& in, const Study& study);
ResultTable main_results_table(const StudyInput& in, const Study& study);
ResultTable coalitions_table(const StudyInput& in, const Study& study);
// activity.cpp
ResultTable activity_table(const StudyInput& in, const Study& study);
// relations.cpp
ResultTable relations_table(const StudyInput& in, const Study& study);
ResultTable relation_results_table(const StudyInput& in, const Study& study);
ResultTable relation_folds_table(const StudyInput& in, const Study& study);
// ratios.cpp
ResultTable ratios_table(const StudyInput& in, const Study& study);
// splits.cpp
ResultTable split_cases_table(const StudyInput& in, const Study& study);
ResultTable stability_table(const StudyInput& in, const Study& study);
// ranks.cpp
ResultTable ranks_table(const StudyInput& in, const Study& study);
// gate_matched.cpp
ResultTable gate_matched_table(const StudyInput& in, const Study& study);
ResultTable two_experts_table(const StudyInput& in, const Study& study);
// noise.cpp
ResultTable noise_scales_table(const StudyInput& in, const Study& study);
ResultTable draws_table(const StudyInput& in, const Study& study);
// relaxed.cpp
ResultTable relaxed_table(const StudyInput& in, const Study& study);
ResultTable relaxed_transfer_table(const StudyInput& in, const Study& study);
// shapley.cpp
ResultTable shapley_table(const StudyInput& in, const Study& study);

// How tables are built.

/// A table's text columns of a fixed first kind: the quantity of each line, then its Summary.
struct Quantity {
    std::string name;
    Summary summary;
};
void add_quantities(ResultTable& table, const std::vector<Quantity>& lines);

/// Columns n, mean, ci_low, ci_high, p, positive_fraction; with a prefix: prefix_n, ...
void add_summaries(ResultTable& table, std::string_view prefix, const std::vector<Summary>& summaries);

/// Appends a sentence to the attribute "note".
void add_note(ResultTable& table, std::string_view sentence);

/// Why there is no selected layer or expert, as a note: true where one is missing and the table has to do without.
bool note_no_layer(ResultTable& table, const Study& study);
bool note_no_expert(ResultTable& table, const Study& study);

}  // namespace moesweep
