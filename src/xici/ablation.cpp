#include "moesweep/xici/ablation.h"

#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// Numbers of a question's answers over all of its sets.
struct Tally {
    double right = 0, lost = 0, wrong = 0, gained = 0;
    std::map<std::int32_t, std::pair<bool, bool>> sets;  // whether right in some language before, after
};

std::map<std::int32_t, Tally> tallies(std::span<const AskedAgain> answers) {
    std::map<std::int32_t, Tally> of;
    for (const AskedAgain& answer : answers) {
        Tally& tally = of[answer.question];
        (answer.before ? tally.right : tally.wrong)++;
        tally.lost += answer.before && !answer.after;
        tally.gained += !answer.before && answer.after;
        auto& [before, after] = tally.sets[answer.set];
        before |= answer.before;
        after |= answer.after;
    }
    return of;
}

/// Numbers of answers, a line per question.
struct Columns {
    std::vector<double> right, lost, wrong, gained;

    void add(double right_before, double of_these_lost, double wrong_before, double of_these_gained) {
        right.push_back(right_before);
        lost.push_back(of_these_lost);
        wrong.push_back(wrong_before);
        gained.push_back(of_these_gained);
    }
};

double sum(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

double sum(std::span<const double> values, std::span<const std::int32_t> at) {
    return std::accumulate(at.begin(), at.end(), 0.0, [values](double total, std::int32_t i) {
        return total + values[static_cast<std::size_t>(i)];
    });
}

/// NaN if there is nothing to divide by.
double ratio(double above, double below) {
    return below > 0 ? above / below : std::numeric_limits<double>::quiet_NaN();
}

AnswerRate rate(std::span<const double> above, std::span<const double> below, const StatsRules& rules) {
    return {ratio(sum(above), sum(below)), bootstrap_ratio(above, below, rules)};
}

AnswerRate difference(const Columns& of, const StatsRules& rules) {
    const auto resampled = [&of](std::span<const std::int32_t> at) {
        return ratio(sum(of.lost, at), sum(of.right, at)) - ratio(sum(of.gained, at), sum(of.wrong, at));
    };
    return {ratio(sum(of.lost), sum(of.right)) - ratio(sum(of.gained), sum(of.wrong)),
            bootstrap(static_cast<std::int64_t>(of.right.size()), rules, resampled)};
}

/// Lost and gained are a difference; these parts of it add up to the gap.
Gap gap(const AnswerRate& rate, std::span<const double> parts, const StatsRules& rules) {
    return {rate.value, rate.ci, std::isnan(rate.value) ? rate.value : sign_flip_p(parts, rules)};
}

}  // namespace

Ablation ablation(std::span<const AskedAgain> answers, const StatsRules& rules) {
    Ablation result;
    Columns columns;
    for (const auto& [question, tally] : tallies(answers)) {
        columns.add(tally.right, tally.lost, tally.wrong, tally.gained);
        result.questions++;
        result.sets += static_cast<std::int64_t>(tally.sets.size());
        for (const auto& [set, some_right] : tally.sets) result.silenced += some_right.first && !some_right.second;
    }
    result.right = static_cast<std::int64_t>(sum(columns.right));
    result.lost = static_cast<std::int64_t>(sum(columns.lost));
    result.wrong = static_cast<std::int64_t>(sum(columns.wrong));
    result.gained = static_cast<std::int64_t>(sum(columns.gained));
    result.success = rate(columns.lost, columns.right, rules);
    result.gain = rate(columns.gained, columns.wrong, rules);
    result.difference = difference(columns, rules);
    return result;
}

Comparison compare(std::span<const AskedAgain> ours, std::span<const AskedAgain> baseline, const StatsRules& rules) {
    const auto other = tallies(baseline);
    Columns more;  // ours minus the baseline's
    for (const auto& [question, a] : tallies(ours)) {
        const auto found = other.find(question);
        if (found == other.end()) continue;
        const Tally& b = found->second;
        const auto a_sets = static_cast<double>(a.sets.size()), b_sets = static_cast<double>(b.sets.size());
        if (a.right * b_sets != b.right * a_sets || a.wrong * b_sets != b.wrong * a_sets)
            fail(Exit::internal, "question {} was not asked in the same languages in two conditions", question);
        more.add(a.right / a_sets, a.lost / a_sets - b.lost / b_sets, a.wrong / a_sets,
                 a.gained / a_sets - b.gained / b_sets);
    }
    const double right = sum(more.right), wrong = sum(more.wrong);
    std::vector<double> parts;
    for (std::size_t i = 0; i < more.right.size(); i++)
        parts.push_back(ratio(more.lost[i], right) - ratio(more.gained[i], wrong));
    return {static_cast<std::int64_t>(more.right.size()), gap(rate(more.lost, more.right, rules), more.lost, rules),
            gap(difference(more, rules), parts, rules)};
}

}  // namespace moesweep
