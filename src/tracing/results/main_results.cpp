#include "results.h"

namespace moesweep {

ResultTable validation_table(const StudyInput& in, const Study& study) {
    const auto& cases = study.validation;
    ResultTable table{
        "validation",
        "Every validation case at the selected layer and expert",
        {{"case", "", "index into /cases", cases.case_index},
         {"active", "", "1 if the clean run routes to the selected expert", cases.active},
         {"block_rescue", "logit", "rescue of the whole block (eq. 4)", cases.block_rescue},
         {"expert_rescue", "logit", "rescue of the selected expert, 0 where inactive", cases.expert_rescue},
         {"controls", "", "controls drawn", cases.controls},
         {"control_mean", "logit", "mean rescue of the controls; NaN: none", cases.control_mean},
         {"spec", "logit", "expert_rescue - control_mean (eq. 7); NaN: no control", cases.spec}},
        {}};
    if (in.config.controls.random > 0) {
        table.columns.push_back({"control_expert", "", "the controls in the order drawn, -1 where fewer",
                                 cases.control_expert, static_cast<int>(in.config.controls.random)});
    }
    return table;
}

ResultTable main_results_table(const StudyInput&, const Study& study) {
    std::vector<std::string> names, meanings;
    std::vector<Summary> summaries;
    for (const auto& line : study.main_results) {
        names.push_back(line.name);
        meanings.push_back(line.meaning);
        summaries.push_back(line.summary);
    }
    ResultTable table{"main_results", "Main results on the validation cases", {}, {}};
    table.columns.push_back({"name", "", "quantity", std::move(names)});
    table.columns.push_back({"meaning", "", "what it is", std::move(meanings)});
    add_summaries(table, "", summaries);
    return table;
}

ResultTable coalitions_table(const StudyInput& in, const Study& study) {
    ResultTable table{"coalitions",
                      "Coalitions of the selected layer's experts beside its block and its selected expert; validation "
                      "cases (eq. 14-15)",
                      {},
                      {}};
    std::vector<Quantity> lines;
    const auto add = [&](const char* quantity, const std::vector<double>& values, const char* missing) {
        const Summary summary = summarize_known(in, values);
        if (summary.n > 0) {
            lines.push_back({quantity, summary});
        } else {
            add_note(table, missing);
        }
    };
    if (!note_no_layer(table, study)) {
        const auto& cases = study.validation;
        const auto rows = [&](Kind kind) {
            return values_of(cases.case_index, [&](std::int32_t case_index) {
                return in.sweep.rescue(case_index, study.selected.layer, kind);
            });
        };
        add("clean_topk", rows(Kind::coalition_clean), "No rows of the clean top-k coalition.");
        add("routing_union", rows(Kind::coalition_union), "No rows of the routing-union coalition.");
        add("block", cases.block_rescue, "No validation case has a block row.");
        add("expert", cases.expert_rescue, "No expert was tested.");
    }
    add_quantities(table, lines);
    return table;
}

}  // namespace moesweep
