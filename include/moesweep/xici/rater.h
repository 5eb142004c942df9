// rate.by = model: another model is asked whether each answer is right.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "moesweep/xici/ask.h"

namespace moesweep {

enum class Verdict : std::int8_t { no = 0, yes = 1, unparsable = 2 };  ///< the last counts as no
inline constexpr const char* verdict_names[] = {"no", "yes", "unparsable"};

/// A line per answer: what the rater said.
struct VerdictTable {
    std::vector<std::int32_t> trial, language;
    std::vector<Verdict> verdict;
    std::vector<std::string> said;
    std::size_t size() const { return trial.size(); }
    bool operator==(const VerdictTable&) const = default;
};
struct VerdictUnit {
    static constexpr const char* item = "trial";
    ItemRange items;  ///< trials
    VerdictTable verdicts;
    bool operator==(const VerdictUnit&) const = default;
};

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, VerdictTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"trial", "", "index into /trials"}, t.trial, 1);
    visit(ColumnInfo{"language", "", "index into /languages"}, t.language, 1);
    visit(ColumnInfo{"verdict", "", "whether the rater holds the answer for right", verdict_names, 3}, t.verdict, 1);
    visit(ColumnInfo{"said", "", "what it said"}, t.said, 1);
}
inline auto key(const VerdictTable& t, std::size_t i) {
    return std::tuple(t.trial[i], t.language[i]);
}
template <class U, class Visit>
requires std::is_same_v<std::remove_const_t<U>, VerdictUnit>
void tables(U& unit, Visit&& visit) {
    visit("verdicts", unit.verdicts);
}

/// Error(usage, data) for a rater that cannot be asked, as far as that is known before there are answers.
void expect_rater(const XiciConfig& config);

/// Rates the finished answers of a series with the model of rate.model, whose weights take the place of the run's own
/// meanwhile. Its verdicts are a series of units, named by the rater, its prompt and the answers. False if the run
/// stops. Every rank calls it. SharedError for a rater that cannot be opened.
bool compute_verdicts(const XiciConfig& config, Job& job, const Asking& asking, const TrialSeries& answered);

/// The verdicts on a series, in the order of its answers. Error(data) if they are not complete.
VerdictTable read_verdicts(const XiciConfig& config, const TrialSeries& answered);

}  // namespace moesweep
