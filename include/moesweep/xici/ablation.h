// What deactivation does to the answers (section 6 of arXiv 2603.17102), from plain lists of them. Rates are
// micro-averaged: sums over all (question, language) pairs are divided, not averages of questions. Questions are the
// units of all intervals and p values, because a question's languages share its experts.
#pragma once
#include <cstdint>
#include <span>

#include "moesweep/stats/stats.h"

namespace moesweep {

/// A question's answer in one language, before and after.
struct AskedAgain {
    std::int32_t question = 0;
    std::int32_t set = 0;  ///< which one of the question's sets of a kind: a draw, a single
    bool before = false;   ///< right with all experts
    bool after = false;    ///< right with the set deactivated
};

/// A figure with its 95% bootstrap interval over questions; NaN where there is nothing to divide by.
struct AnswerRate {
    double value = 0;
    Interval ci;
};

/// Of one kind of sets. The sets of a question count as often as there are.
struct Ablation {
    std::int64_t questions = 0;
    std::int64_t sets = 0;               ///< (question, set) pairs
    std::int64_t right = 0, lost = 0;    ///< answers right before, and of these those wrong after
    std::int64_t wrong = 0, gained = 0;  ///< answers wrong before, and of these those right after
    std::int64_t silenced = 0;           ///< sets whose question was right in some language before and is in none after
    AnswerRate success;                  ///< ablation success rate: lost / right
    /// Spurious gain rate: gained / wrong. The paper's text (section 6.1) repeats the definition of the success rate
    /// here; it must mean this, by the name, the values and their discussion in section 7.
    AnswerRate gain;
    AnswerRate difference;  ///< success - gain
};

Ablation ablation(std::span<const AskedAgain> answers, const StatsRules& rules);

/// A figure of ours minus a baseline's, with a sign-flip p value: the sign of each question's part in it is flipped.
struct Gap {
    double value = 0;
    Interval ci;
    double p = 0;
};

struct Comparison {
    std::int64_t questions = 0;  ///< those that both have
    Gap success, difference;     ///< of the rates over these questions
};

/// Ours against a baseline, over the questions that both have, a question's answers averaged over its sets.
/// Error(internal) if a question was right or wrong before in other numbers of languages here than there.
Comparison compare(std::span<const AskedAgain> ours, std::span<const AskedAgain> baseline, const StatsRules& rules);

}  // namespace moesweep
