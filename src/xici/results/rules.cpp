#include <fmt/ranges.h>

#include "results.h"

namespace moesweep {
namespace {

const char* captured(CaptureTokens tokens) {
    return tokens == CaptureTokens::all      ? "all tokens that were fed, of prompt and answer"
           : tokens == CaptureTokens::prompt ? "the prompt's tokens"
                                             : "the answer's tokens that were fed";
}

const char* rated(RateBy by) {
    return by == RateBy::exact  ? "An answer is right if it contains a known answer: its words in their order, without "
                                  "case, punctuation and articles."
           : by == RateBy::file ? "By the ratings in rate.file."
                                : "By another model's YES or NO.";
}

const char* deactivated(Deactivation by) {
    return by == Deactivation::minimum          ? "The logit becomes the least of its row before the choice."
           : by == Deactivation::minus_infinity ? "The logit becomes -inf before the choice."
                                                : "The choice skips the expert; all scores stay as they are.";
}

}  // namespace

ResultTable rules_table(const Findings& f) {
    const auto& identify = f.config.identify;
    const std::vector<std::pair<std::string, std::string>> rules = {
        {"Rating", rated(f.config.rate.by)},
        {"Weights", fmt::format("Gate weights averaged over {} (eq. 1).", captured(f.config.capture.tokens))},
        {"Layers", fmt::format("{}", fmt::join(f.contrast.rules.layers, ", "))},
        {"Blacklist", fmt::format("Experts among the most weighed {:g}% in more than {:g}% of a dataset's sequences.",
                                  100 * identify.blacklist_top, 100 * identify.blacklist_share)},
        {"Language mean", identify.subtract_mean ? "Subtracted within a dataset (eq. 2)." : "Not subtracted."},
        {"Test", fmt::format("One-tailed Mann-Whitney U over languages, {}, p < {:g}.",
                             identify.p_value == PValue::normal
                                 ? "normal approximation with corrections for ties and continuity"
                                 : "exact distribution",
                             identify.alpha)},
        {"Threshold", fmt::format("Medians differ by more than {:g}.", f.contrast.rules.tau)},
        {"Cap",
         fmt::format("{} experts of a question, by the sum of the ranks of U and of the difference.", identify.cap)},
        {"Deactivation", deactivated(f.config.deactivate.by)},
        {"Ablation success", "Answers right before and wrong after, over those right before."},
        {"Spurious gain",
         "Answers wrong before and right after, over those wrong before. (The paper's text repeats the "
         "first definition; its values mean this.)"},
        {"Intervals", fmt::format("95% percentile bootstrap over questions, {} resamples, seed {}.",
                                  f.config.stats.bootstrap, f.config.stats.seed)},
        {"p", fmt::format("Two-sided sign-flip test over questions, {} samples.", f.config.stats.sign_flips)}};
    return {"rules",
            "The rules of this run",
            {{"item", "", "what is settled", values_of(rules, [](const auto& rule) { return rule.first; })},
             {"setting", "", "how", values_of(rules, [](const auto& rule) { return rule.second; })}},
            {}};
}

}  // namespace moesweep
