#include <fmt/format.h>

#include <cmath>

#include "results.h"

namespace moesweep {
namespace {

struct Ratio {
    std::string quantity;
    std::int64_t n;
    double value;
    Interval ci;
};

/// Over the cases that have both, so that resamples stay paired. n = 0 where the denominator's mean is 0.
Ratio ratio(const StudyInput& in, const char* quantity, const std::vector<double>& numerator,
            const std::vector<double>& denominator) {
    std::vector<double> above, below;
    for (std::size_t i = 0; i < numerator.size(); ++i) {
        if (std::isnan(numerator[i]) || std::isnan(denominator[i])) continue;
        above.push_back(numerator[i]);
        below.push_back(denominator[i]);
    }
    if (above.empty() || mean(below) == 0) return {quantity, 0, nan, {nan, nan}};
    return {quantity, std::ssize(above), mean(above) / mean(below), bootstrap_ratio(above, below, in.stats)};
}

}  // namespace

ResultTable ratios_table(const StudyInput& in, const Study& study) {
    ResultTable table{"ratios",
                      "The selected expert's rescue and Spec in relation to its layer's: ratios of validation means, "
                      "numerator and denominator resampled together",
                      {},
                      {}};
    std::vector<Ratio> lines;
    const auto add = [&](Ratio line) {
        if (line.n > 0) {
            lines.push_back(std::move(line));
        } else {
            add_note(table, fmt::format("{}: no validation case has both, or the layer's mean is 0.", line.quantity));
        }
    };
    if (!note_no_layer(table, study)) {
        const TestedCases& tested = study.validation;
        const Summary layer = summarize_known(in, tested.block_rescue);
        add({"layer_rescue", layer.n, layer.mean, layer.ci});
        if (!note_no_expert(table, study)) {
            add(ratio(in, "expert_over_layer", tested.expert_rescue, tested.block_rescue));
            add(ratio(in, "spec_over_layer", tested.spec, tested.block_rescue));
        }
        if (layer.ci.low <= 0 && layer.ci.high >= 0) {
            add_note(table, "The interval of the layer's rescue contains 0: the ratios have no reliable scale.");
        }
    }
    const char* meaning = "95% percentile bootstrap interval over cases";
    table.columns = {
        {"quantity", "", "the layer's mean rescue in logits, or a ratio to it", values_of(lines, &Ratio::quantity)},
        {"n", "", "validation cases that have both", values_of(lines, &Ratio::n)},
        {"value", "", "mean, or ratio of means", values_of(lines, &Ratio::value)},
        {"ci_low", "", fmt::format("{}, lower end", meaning),
         values_of(lines, [](const Ratio& r) { return r.ci.low; })},
        {"ci_high", "", fmt::format("{}, upper end", meaning),
         values_of(lines, [](const Ratio& r) { return r.ci.high; })}};
    return table;
}

}  // namespace moesweep
