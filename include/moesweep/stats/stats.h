// Means over cases with percentile bootstrap intervals and sign-flip p values.
// Random numbers are counter-based (Philox4x32-10): sample i of a statistic does not depend on how many others are
// drawn, and sums run in case order, so results have the same bits everywhere. Columns of equal length are resampled by
// the same indices under the same seed, so their resamples are paired by case.
// Values are finite: leave out the cases for which a quantity does not exist.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moesweep {

/// Philox4x32 with 10 rounds (Salmon et al., SC11): 128 random bits for a counter under a key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

struct Interval {
    double low = 0, high = 0;
};

/// A mean over cases. With n = 0 every number is NaN and n says why.
struct Summary {
    std::int64_t n = 0;
    double mean = 0;
    Interval ci;                   ///< 95% percentile bootstrap over cases
    double p = 0;                  ///< two-sided sign-flip p value, (1 + b) / (1 + B)
    double positive_fraction = 0;  ///< share of values > 0
};

struct StatsRules {
    std::int64_t bootstrap = 5000;
    std::int64_t sign_flips = 10000;
    std::int64_t seed = 0;
};

/// The sum in the given order divided by n; NaN without values.
double mean(std::span<const double> values);

/// The n case indices of bootstrap resample `sample`; with them scipy or numpy reproduce an interval. Word j of the
/// stream of (seed, sample) becomes floor(word x n / 2^32); words whose remainder would favour some indices are skipped
/// (Lemire, ACM TOMACS 29, 2019), so every index is equally likely.
std::vector<std::int32_t> bootstrap_indices(std::int64_t seed, std::int64_t sample, std::int64_t n);

/// The n signs (+1 or -1) of sign-flip sample `sample`: bit j of the stream of (seed, sample), 1 = flipped.
std::vector<std::int8_t> random_signs(std::int64_t seed, std::int64_t sample, std::int64_t n);

/// 2.5% and 97.5% quantiles (linear interpolation, as numpy.quantile) of the resampled means.
/// NaN without values or resamples.
Interval bootstrap_mean(std::span<const double> values, const StatsRules& rules);

/// The same quantiles of mean(numerator) / mean(denominator), both over the cases of the same resample; the columns
/// have equal length, a line per case. Resamples with a denominator of 0 are left out; NaN if none remains.
Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator,
                         const StatsRules& rules);

/// The same quantiles of any statistic of n cases, of which it gets the indices that a resample draws. Resamples for
/// which it is NaN are left out; NaN if none remains.
Interval bootstrap(std::int64_t n, const StatsRules& rules,
                   const std::function<double(std::span<const std::int32_t>)>& statistic);

/// Two-sided sign-flip test of mean = 0: share of |mean of randomly signed values| >= |mean|, (1 + b) / (1 + B).
/// Sums that differ by rounding alone (1e-12 of the sum of magnitudes) count as equal. NaN without values.
double sign_flip_p(std::span<const double> values, const StatsRules& rules);

Summary summarize(std::span<const double> values, const StatsRules& rules);

}  // namespace moesweep
