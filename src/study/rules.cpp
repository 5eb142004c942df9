#include <fmt/format.h>

#include "results.h"

namespace moesweep {
namespace {

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

}  // namespace

ResultTable summary_table(const Run& run, const Study& study) {
    ResultTable table{"summary", "What was selected, by which rules", {}, {}};
    table.attributes = {{"selected_layer", std::to_string(study.selected.layer)},
                        {"selected_expert", std::to_string(study.selected.expert)},
                        {"selected_by_active_mean", std::to_string(study.selected_by_active_mean)},
                        {"discovery_cases", std::to_string(study.discovery_cases)},
                        {"validation_cases", std::to_string(study.validation_cases)},
                        {"note", study.note}};
    for (auto& rule : rules_in_words(run.config)) table.attributes.push_back(std::move(rule));
    return table;
}

}  // namespace moesweep
