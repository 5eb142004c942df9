#include "results.h"

namespace moesweep {

ResultTable validation_table(const Run& run, const Study& study) {
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
    if (run.config.controls.random > 0) {
        table.columns.push_back({"control_expert", "", "the controls in the order drawn, -1 where fewer",
                                 cases.control_expert, static_cast<int>(run.config.controls.random)});
    }
    return table;
}

ResultTable table1(const Run&, const Study& study) {
    std::vector<std::string> names, meanings;
    std::vector<Summary> summaries;
    for (const auto& line : study.table1) {
        names.push_back(line.name);
        meanings.push_back(line.meaning);
        summaries.push_back(line.summary);
    }
    ResultTable table{"table1", "Main results on the validation cases", {}, {}};
    table.columns.push_back({"name", "", "quantity", std::move(names)});
    table.columns.push_back({"meaning", "", "what it is", std::move(meanings)});
    add_summaries(table, "", summaries);
    return table;
}

}  // namespace moesweep
