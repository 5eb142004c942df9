#include <fmt/format.h>

#include "results.h"

namespace moesweep {
namespace {

/// A rule of the study: an attribute of summary, and a line of protocol.
struct Rule {
    const char *attribute, *item;
    std::string text;
};

std::vector<Rule> rules_in_words(const TracingConfig& config) {
    return {
        {"rule_rescue", "Rescue",
         "The patched run's logit(true) - logit(foil) minus the noised run's, at the last prompt token."},
        {"rule_layer", "Layer selection",
         "The highest mean block rescue over the discovery cases; ties go to the lower layer."},
        {"rule_expert", "Expert selection",
         fmt::format(
             "Among the experts of that layer which the clean run routes to in at least {} discovery cases, the "
             "highest mean rescue over all discovery cases; ties go to the lower index.",
             config.select.recurrence)},
        {"rule_inactive", "Inactive expert",
         "An expert that the clean run of a case does not route to has rescue 0 there, and the case stays in the mean. "
         "The mean over its active cases alone stands beside it."},
        {"rule_controls", "Active-random controls",
         fmt::format("Up to {} other experts per case that the clean run routes to at that layer, drawn without "
                     "replacement in the order of random.Random({} + case id).sample.",
                     config.controls.random, config.controls.seed)},
        {"rule_spec", "Spec",
         "The selected expert's rescue minus the mean rescue of the case's controls. A case without a control has "
         "none."},
        {"rule_interval", "Intervals",
         fmt::format("95% percentile bootstrap over cases, {} resamples, seed {}.", config.stats.bootstrap,
                     config.stats.seed)},
        {"rule_p", "p",
         fmt::format("Two-sided sign-flip test of mean = 0, {} samples, (1 + b) / (1 + B).", config.stats.sign_flips)},
        {"rule_positive", "Positive fraction", "The share of cases whose value is above 0."}};
}

std::string filters(double clean_margin, double noise_drop) {
    return fmt::format("clean margin >= {}, noise drop >= {} logits", clean_margin, noise_drop);
}

std::string or_none(const std::string& list) {
    return list.empty() ? "none" : list;
}

/// How cases and noise come about, before any rule applies.
std::vector<std::pair<std::string, std::string>> protocol(const TracingConfig& config, const Study& study) {
    const auto& relaxed = config.scale_up;
    return {
        {"Record order", fmt::format("Records shuffled by random.Random({}).shuffle.", config.cases.seed)},
        {"Cases", fmt::format("{} discovery and {} validation cases, split by a fresh random.Random({}).shuffle.",
                              study.discovery_cases, study.validation_cases, config.cases.seed)},
        {"Filtering",
         fmt::format(
             "Single-token true and foil object ({}); {}.",
             config.cases.object_token == ObjectToken::leading_space ? "after a blank" : "bare, or else after a blank",
             filters(config.cases.clean_margin, config.cases.noise_drop))},
        {"Subject noise", fmt::format("One Gaussian draw per case, seed {} + case id, {} standard deviations of the "
                                      "embedding matrix.",
                                      config.noise.seed, config.noise.scale)},
        {"Further noise",
         fmt::format("Draws: {}; further scales: {}.", config.noise.draws, or_none(config.noise.scales.text()))},
        {"Relaxed study",
         relaxed.limit == 0
             ? "None."
             : fmt::format("Up to {} cases; {}; {} discovery cases, recurrence {}.", relaxed.limit,
                           filters(relaxed.clean_margin, relaxed.noise_drop), relaxed.discovery, relaxed.recurrence)},
        {"Stability", fmt::format("Split seeds {}; recurrence thresholds {}; {} relation folds.",
                                  or_none(config.stability.split_seeds.text()),
                                  or_none(config.stability.thresholds.text()), config.stability.folds)}};
}

}  // namespace

ResultTable summary_table(const StudyInput& in, const Study& study) {
    ResultTable table{"summary", "What was selected, by which rules", {}, {}};
    table.attributes = {{"selected_layer", std::to_string(study.selected.layer)},
                        {"selected_expert", std::to_string(study.selected.expert)},
                        {"selected_by_active_mean", std::to_string(study.selected_by_active_mean)},
                        {"discovery_cases", std::to_string(study.discovery_cases)},
                        {"validation_cases", std::to_string(study.validation_cases)},
                        {"note", study.note}};
    for (const auto& rule : rules_in_words(in.config))
        table.attributes.emplace_back(rule.attribute, fmt::format("{}: {}", rule.item, rule.text));
    return table;
}

ResultTable protocol_table(const StudyInput& in, const Study& study) {
    std::vector<std::string> items, settings;
    for (auto& [item, setting] : protocol(in.config, study)) {
        items.push_back(std::move(item));
        settings.push_back(std::move(setting));
    }
    for (auto& rule : rules_in_words(in.config)) {
        items.push_back(rule.item);
        settings.push_back(std::move(rule.text));
    }
    return {"protocol",
            "The protocol and the rules of this run",
            {{"item", "", "what is settled", std::move(items)}, {"setting", "", "how", std::move(settings)}},
            {}};
}

}  // namespace moesweep
