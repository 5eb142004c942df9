#include <fmt/format.h>

#include "moesweep/study.h"

namespace moesweep {
namespace {

/// A column of each Summary's numbers: prefix_n, prefix_mean, ...; without a prefix just n, mean, ...
void add_summaries(ResultTable& table, const std::string& prefix, const std::vector<Summary>& summaries) {
    const auto name = [&](const char* what) {
        return prefix.empty() ? std::string(what) : fmt::format("{}_{}", prefix, what);
    };
    const auto column = [&](auto get) {
        std::vector<decltype(get(Summary{}))> values;
        for (const auto& summary : summaries) values.push_back(get(summary));
        return values;
    };
    auto& out = table.columns;
    out.push_back({name("n"), "", "cases in the mean", column([](const Summary& s) { return s.n; })});
    out.push_back({name("mean"), "logit", "mean over these cases", column([](const Summary& s) { return s.mean; })});
    out.push_back({name("ci_low"), "logit", "95% percentile bootstrap interval over cases, lower end",
                   column([](const Summary& s) { return s.ci.low; })});
    out.push_back({name("ci_high"), "logit", "95% percentile bootstrap interval over cases, upper end",
                   column([](const Summary& s) { return s.ci.high; })});
    out.push_back(
        {name("p"), "", "two-sided sign-flip p value of mean = 0", column([](const Summary& s) { return s.p; })});
    out.push_back({name("positive_fraction"), "", "share of cases above 0",
                   column([](const Summary& s) { return s.positive_fraction; })});
}

Attributes rules_in_words(const Config& config) {
    return {
        {"rule_rescue",
         "Rescue: the patched run's logit(true) - logit(foil) minus the noised run's, at the last prompt token."},
        {"rule_layer", "Layer: the highest mean block rescue over the discovery cases; ties go to the lower layer."},
        {"rule_expert",
         fmt::format(
             "Expert: among the experts of that layer which the clean run routes to in at least {} discovery cases, "
             "the highest mean rescue over all discovery cases; ties go to the lower index.",
             config.select.recurrence)},
        {"rule_inactive",
         "An expert that the clean run of a case does not route to has rescue 0 there, and the case stays in the mean. "
         "The mean over its active cases alone stands beside it."},
        {"rule_controls",
         fmt::format(
             "Controls: up to {} other experts per case that the clean run routes to at that layer, drawn without "
             "replacement in the order of random.Random({} + case id).sample.",
             config.controls.random, config.controls.seed)},
        {"rule_spec",
         "Spec: the selected expert's rescue minus the mean rescue of the case's controls. A case without a control "
         "has none."},
        {"rule_interval", fmt::format("Intervals: 95% percentile bootstrap over cases, {} resamples, seed {}.",
                                      config.stats.bootstrap, config.stats.seed)},
        {"rule_p", fmt::format("p: two-sided sign-flip test of mean = 0, {} samples, (1 + b) / (1 + B).",
                               config.stats.sign_flips)},
        {"rule_positive", "Positive: the share of cases whose value is above 0."}};
}

ResultTable summary_table(const Study& study, const Config& config) {
    ResultTable table{"summary", "What was selected, by which rules", {}, {}};
    table.attributes = {{"selected_layer", std::to_string(study.selected_layer)},
                        {"selected_expert", std::to_string(study.selected_expert)},
                        {"selected_by_active_mean", std::to_string(study.selected_by_active_mean)},
                        {"discovery_cases", std::to_string(study.discovery_cases)},
                        {"validation_cases", std::to_string(study.validation_cases)},
                        {"note", study.note}};
    for (auto& rule : rules_in_words(config)) table.attributes.push_back(std::move(rule));
    return table;
}

ResultTable layers_table(const Study::Layers& layers) {
    ResultTable table{"layers", "Block rescue of every layer on each half (eq. 4)", {}, {}};
    table.columns.push_back({"layer", "", "decoder layer, from 0", layers.layer});
    add_summaries(table, "discovery", layers.discovery);
    add_summaries(table, "validation", layers.validation);
    return table;
}

ResultTable candidates_table(const Study::Candidates& candidates) {
    return {
        "candidates",
        "The experts of the selected layer as candidates for selection",
        {{"expert", "", "expert index, from 0", candidates.expert},
         {"discovery_active", "", "discovery cases whose clean run routes to it", candidates.discovery_active},
         {"validation_active", "", "validation cases whose clean run routes to it", candidates.validation_active},
         {"discovery_rescue", "logit", "mean rescue over all discovery cases, inactive = 0; the highest is selected",
          candidates.discovery_rescue},
         {"discovery_rescue_active", "logit", "mean rescue over the discovery cases where it is active; NaN: none",
          candidates.discovery_rescue_active},
         {"recurrent", "", "1 if active in at least select.recurrence discovery cases", candidates.recurrent}},
        {}};
}

ResultTable heatmap_table(const Study::Heatmap& map) {
    return {"heatmap",
            "Every expert of every swept layer, over the cases of both halves: a line per layer, a column per expert",
            {{"layer", "", "decoder layer, from 0", map.layer},
             {"mean_rescue", "logit", "mean rescue, inactive = 0; NaN where the layer has no expert rows",
              map.mean_rescue, map.experts},
             {"active", "", "cases whose clean run routes to the expert", map.active, map.experts}},
            {}};
}

ResultTable validation_table(const Study::ValidationCases& cases, const Config& config) {
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
    if (config.controls.random > 0) {
        table.columns.push_back({"control_expert", "", "the controls in the order drawn, -1 where fewer",
                                 cases.control_expert, static_cast<int>(config.controls.random)});
    }
    return table;
}

ResultTable table1(const std::vector<Study::Line>& lines) {
    std::vector<std::string> names, meanings;
    std::vector<Summary> summaries;
    for (const auto& line : lines) {
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

}  // namespace

std::vector<ResultTable> result_tables(const Study& study, const Config& config) {
    return {summary_table(study, config),
            layers_table(study.layers),
            candidates_table(study.candidates),
            heatmap_table(study.heatmap),
            validation_table(study.validation, config),
            table1(study.table1)};
}

}  // namespace moesweep
