#include "moesweep/xici/agreement.h"

#include "moesweep/base/error.h"

namespace moesweep {

namespace {

double ratio(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Of all pairs of one rater's item and the other's, those with the same verdict.
std::int64_t same_pairs(const Agreement& all) {
    const std::int64_t first = all.both_right + all.first_alone_right, second = all.both_right + all.second_alone_right;
    return first * second + (all.items() - first) * (all.items() - second);
}

}  // namespace

double Agreement::observed() const {
    return ratio(both_right + both_wrong, items());
}

double Agreement::expected() const {
    return ratio(same_pairs(*this), items() * items());
}

double Agreement::kappa() const {
    const std::int64_t n = items(), same = same_pairs(*this);
    return ratio(n * (both_right + both_wrong) - same, n * n - same);
}

Agreement agreement(const std::vector<bool>& first, const std::vector<bool>& second) {
    if (first.size() != second.size())
        fail(Exit::internal, "agreement: {} verdicts beside {}", first.size(), second.size());
    Agreement all;
    for (std::size_t i = 0; i < first.size(); ++i) {
        if (first[i]) ++(second[i] ? all.both_right : all.first_alone_right);
        if (!first[i]) ++(second[i] ? all.second_alone_right : all.both_wrong);
    }
    return all;
}

}  // namespace moesweep
