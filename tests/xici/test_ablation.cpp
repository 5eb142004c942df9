#include "moesweep/xici/ablation.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <catch2/catch.hpp>

#include "support.h"

using namespace moesweep;

namespace {

using Answers = std::vector<AskedAgain>;

void add(Answers& answers, std::int32_t question, std::int32_t set, const char* before, const char* after) {
    for (; *before; before++, after++) answers.push_back({question, set, *before == '1', *after == '1'});
}

/// Questions with ten languages, a third of them right before; a set takes and gives at these rates.
Answers random_answers(int questions, double loss, double gain, unsigned seed) {
    std::mt19937 labels(1), random(seed);
    std::uniform_real_distribution<> uniform;
    Answers answers;
    for (std::int32_t question = 0; question < questions; question++)
        for (int language = 0; language < 10; language++) {
            const bool before = language == 0 || (language < 9 && uniform(labels) < 0.3);
            answers.push_back({question, 0, before, uniform(random) < (before ? 1 - loss : gain)});
        }
    return answers;
}

}  // namespace

TEST_CASE("rates are micro-averaged, and questions left without a language are counted") {
    Answers answers;
    add(answers, 7, 0, "1110", "0001");  // loses three, gains one
    add(answers, 8, 0, "1000", "1000");
    add(answers, 9, 0, "11", "00");
    add(answers, 2, 0, "01", "10");
    add(answers, 3, 0, "00", "00");
    const Ablation result = ablation(answers, {});
    CHECK(result.questions == 5);
    CHECK(result.sets == 5);
    CHECK(result.right == 7);
    CHECK(result.lost == 6);
    CHECK(result.wrong == 7);
    CHECK(result.gained == 2);
    CHECK(result.silenced == 1);  // question 9 alone: 7 and 2 were given an answer, 3 had none
    CHECK(result.success.value == 6.0 / 7);
    CHECK(result.gain.value == 2.0 / 7);
    CHECK(result.difference.value == 6.0 / 7 - 2.0 / 7);
}

TEST_CASE("several sets of a question count each") {
    Answers answers;
    add(answers, 0, 0, "110", "000");
    add(answers, 0, 1, "110", "110");
    add(answers, 0, 2, "110", "001");
    const Ablation result = ablation(answers, {});
    CHECK(result.questions == 1);
    CHECK(result.sets == 3);
    CHECK(result.right == 6);
    CHECK(result.lost == 4);
    CHECK(result.gained == 1);
    CHECK(result.silenced == 1);
}

TEST_CASE("intervals resample questions, and all rates by the same ones") {
    const StatsRules rules{400, 100, 5};
    const Answers answers = random_answers(30, 0.4, 0.1, 2);
    const Ablation result = ablation(answers, rules);
    std::vector<double> success, gain, difference;
    for (std::int64_t sample = 0; sample < rules.bootstrap; sample++) {
        double right = 0, lost = 0, wrong = 0, gained = 0;
        for (const std::int32_t question : bootstrap_indices(rules.seed, sample, 30))
            for (const AskedAgain& answer : answers)
                if (answer.question == question) {
                    right += answer.before;
                    wrong += !answer.before;
                    lost += answer.before && !answer.after;
                    gained += !answer.before && answer.after;
                }
        success.push_back(lost / right);
        gain.push_back(gained / wrong);
        difference.push_back(lost / right - gained / wrong);
    }
    const auto check = [](const AnswerRate& rate, std::vector<double> values) {
        std::ranges::sort(values);
        for (const auto& [q, bound] : {std::pair(0.025, rate.ci.low), std::pair(0.975, rate.ci.high)}) {
            const double at = q * static_cast<double>(values.size() - 1);
            const auto below = static_cast<std::size_t>(at);
            const double t = at - static_cast<double>(below);
            CHECK(bound == Approx(values[below] * (1 - t) + values[below + 1] * t).epsilon(1e-12));
        }
        CHECK(rate.ci.low < rate.value);
        CHECK(rate.value < rate.ci.high);
    };
    check(result.success, success);
    check(result.gain, gain);
    check(result.difference, difference);
}

TEST_CASE("ours against a baseline: the gap of the rates, and a p value that tells") {
    const StatsRules rules{500, 2000, 0};
    const Answers ours = random_answers(60, 0.4, 0.1, 2), weak = random_answers(60, 0.1, 0.1, 3),
                  equal = random_answers(60, 0.4, 0.1, 4);
    const Comparison against = compare(ours, weak, rules);
    const Ablation a = ablation(ours, rules), b = ablation(weak, rules);
    CHECK(against.questions == 60);
    CHECK(against.success.value == Approx(a.success.value - b.success.value).epsilon(1e-12));
    CHECK(against.difference.value == Approx(a.difference.value - b.difference.value).epsilon(1e-12));
    CHECK(against.success.p == 1.0 / 2001);
    CHECK(against.difference.p == 1.0 / 2001);
    CHECK(against.success.ci.low > 0);
    CHECK(against.difference.ci.low > 0);
    const Comparison none = compare(ours, equal, rules);
    CHECK(none.success.p > 0.05);
    CHECK(none.difference.p > 0.05);
    CHECK(none.success.ci.low < 0);
    CHECK(none.success.ci.high > 0);
}

TEST_CASE("only questions that both have are compared, each averaged over its sets") {
    Answers ours, baseline;
    add(ours, 0, 0, "1100", "0000");
    add(ours, 1, 0, "1000", "0111");  // the baseline lacks it
    add(ours, 2, 0, "1100", "1101");
    add(baseline, 0, 0, "1100", "1100");
    add(baseline, 0, 1, "1100", "1010");
    add(baseline, 2, 0, "1100", "1100");
    add(baseline, 3, 0, "1100", "0000");
    const Comparison against = compare(ours, baseline, {});
    CHECK(against.questions == 2);
    CHECK(against.success.value == (2 - 0.5) / 4);
    CHECK(against.difference.value == Approx((2 - 0.5) / 4 - (1 - 0.5) / 4));
}

TEST_CASE("where there is nothing to divide by there is no rate") {
    Answers answers;
    add(answers, 0, 0, "11", "01");
    const Ablation result = ablation(answers, {});
    CHECK(result.success.value == 0.5);
    CHECK(std::isnan(result.gain.value));
    CHECK(std::isnan(result.gain.ci.low));
    CHECK(std::isnan(result.difference.value));
    CHECK(std::isnan(result.difference.ci.high));
    const Comparison against = compare(answers, answers, {});
    CHECK(against.success.value == 0);
    CHECK(against.success.p == 1);
    CHECK(std::isnan(against.difference.p));
    CHECK(ablation({}, {}).questions == 0);
    CHECK(std::isnan(ablation({}, {}).success.value));
    CHECK(std::isnan(compare(answers, {}, {}).success.p));
}

TEST_CASE("answers before that differ between two conditions are our own mistake") {
    Answers ours, baseline;
    add(ours, 0, 0, "1100", "0000");
    add(baseline, 0, 0, "110", "110");
    CHECK(failure_of([&] { compare(ours, baseline, {}); }).code == Exit::internal);
}
