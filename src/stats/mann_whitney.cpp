#include "moesweep/stats/mann_whitney.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace moesweep {
namespace {

/// P(U = u) for u = 0 ... first x second, without ties. The highest of all values is one of the first sample's with
/// probability m / (m + n), and then exceeds all n of the second; so the terms are sums of positive ones.
std::vector<double> distribution(std::size_t first, std::size_t second) {
    std::vector<std::vector<double>> of(first + 1, std::vector<double>{1});  // of[m]: m values against n; n = 0
    for (std::size_t n = 1; n <= second; n++) {
        for (std::size_t m = 1; m <= first; m++) {
            const double share = static_cast<double>(m) / static_cast<double>(m + n);
            std::vector<double> next(m * n + 1);
            for (std::size_t u = 0; u < of[m].size(); u++) next[u] += (1 - share) * of[m][u];
            for (std::size_t u = 0; u < of[m - 1].size(); u++) next[u + n] += share * of[m - 1][u];
            of[m] = std::move(next);
        }
    }
    return of[first];
}

}  // namespace

MannWhitney::MannWhitney(std::size_t first, std::size_t second, PValue by)
    : first_(first), second_(second), sorted_(first + second) {
    if (by == PValue::normal) return;
    tail_ = distribution(first, second);
    for (std::size_t u = tail_.size() - 1; u-- > 0;) tail_[u] += tail_[u + 1];
}

UTest MannWhitney::operator()(std::span<const double> values) {
    for (std::size_t i = 0; i < values.size(); i++) sorted_[i] = {values[i], i < first_};
    std::ranges::sort(sorted_, {}, &Value::value);

    // Positions that numpy.median averages, counted within each sample.
    const std::array<std::size_t, 2> sizes{second_, first_};
    std::array<std::size_t, 2> seen{};
    std::array<double, 2> median{};
    double rank_sum = 0, ties = 0;
    for (std::size_t begin = 0, end; begin < sorted_.size(); begin = end) {
        std::size_t of_first = 0;
        for (end = begin; end < sorted_.size() && sorted_[end].value == sorted_[begin].value; end++) {
            const bool sample = sorted_[end].of_first;
            of_first += sample;
            const std::size_t position = seen[sample]++;
            if (position == (sizes[sample] - 1) / 2) median[sample] = sorted_[end].value;
            if (position == sizes[sample] / 2) median[sample] = (median[sample] + sorted_[end].value) / 2;
        }
        const auto tied = static_cast<double>(end - begin);
        rank_sum += static_cast<double>(of_first) * static_cast<double>(begin + 1 + end) / 2;
        ties += tied * tied * tied - tied;
    }
    const double u = rank_sum - static_cast<double>(first_ * (first_ + 1)) / 2;
    return {u, tail_.empty() ? normal_p(u, ties) : std::min(1.0, tail_[static_cast<std::size_t>(u)]),
            median[1] - median[0]};
}

double MannWhitney::normal_p(double u, double ties) const {
    const auto n1 = static_cast<double>(first_), n2 = static_cast<double>(second_), n = n1 + n2;
    const double deviation = std::sqrt(n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1))));
    const double z = (u - n1 * n2 / 2 - 0.5) / deviation;  // all values equal: -inf
    return std::erfc(z / std::sqrt(2.0)) / 2;
}

}  // namespace moesweep
