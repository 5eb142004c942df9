#include "moesweep/stats/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace moesweep {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// What a stream of random words is for. It is the last word of the counter, so no two statistics share a word.
enum class Purpose : std::uint32_t { bootstrap = 0, sign_flips = 1 };

std::uint32_t low_word(std::int64_t value) {
    return static_cast<std::uint32_t>(value);
}
std::uint32_t high_word(std::int64_t value) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32);
}

/// The random words of one sample: counter = (block of four words, sample, purpose), key = seed.
class Words {
  public:
    Words(std::int64_t seed, Purpose purpose, std::int64_t sample)
        : key_{low_word(seed), high_word(seed)},
          counter_{0, low_word(sample), high_word(sample), static_cast<std::uint32_t>(purpose)} {}

    std::uint32_t next() {
        if (used_ == 4) {
            block_ = philox(counter_, key_);
            ++counter_[0];
            used_ = 0;
        }
        return block_[used_++];
    }

    /// Uniform in [0, n), n >= 1, by multiplication; words that would make it biased are skipped.
    std::uint32_t below(std::uint32_t n) {
        std::uint64_t product = std::uint64_t{next()} * n;
        if (static_cast<std::uint32_t>(product) < n) {
            const std::uint32_t uneven = -n % n;  // 2^32 mod n
            while (static_cast<std::uint32_t>(product) < uneven) product = std::uint64_t{next()} * n;
        }
        return static_cast<std::uint32_t>(product >> 32);
    }

  private:
    std::array<std::uint32_t, 2> key_;
    std::array<std::uint32_t, 4> counter_, block_{};
    unsigned used_ = 4;
};

/// numpy.quantile(sorted, q), method "linear", with numpy's rounding.
double quantile(std::span<const double> sorted, double q) {
    const double position = static_cast<double>(sorted.size() - 1) * q;
    const auto below = static_cast<std::size_t>(position);
    const double a = sorted[below], b = sorted[std::min(below + 1, sorted.size() - 1)];
    const double t = position - static_cast<double>(below);
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

/// NaN without values.
Interval percentile_interval(std::vector<double> values) {
    if (values.empty()) return {nan, nan};
    std::sort(values.begin(), values.end());
    return {quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace

double mean(std::span<const double> values) {
    double sum = 0;
    for (double value : values) sum += value;
    return values.empty() ? nan : sum / static_cast<double>(values.size());
}

std::vector<std::int32_t> bootstrap_indices(std::int64_t seed, std::int64_t sample, std::int64_t n) {
    Words words(seed, Purpose::bootstrap, sample);
    std::vector<std::int32_t> indices(static_cast<std::size_t>(n));
    for (auto& index : indices) index = static_cast<std::int32_t>(words.below(static_cast<std::uint32_t>(n)));
    return indices;
}

std::vector<std::int8_t> random_signs(std::int64_t seed, std::int64_t sample, std::int64_t n) {
    Words words(seed, Purpose::sign_flips, sample);
    std::vector<std::int8_t> signs(static_cast<std::size_t>(n));
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < signs.size(); ++j) {
        if (j % 32 == 0) bits = words.next();
        signs[j] = bits >> (j % 32) & 1 ? -1 : 1;
    }
    return signs;
}

Interval bootstrap_mean(std::span<const double> values, const StatsRules& rules) {
    if (values.empty() || rules.bootstrap < 1) return {nan, nan};
    const auto n = static_cast<std::uint32_t>(values.size());
    std::vector<double> means(static_cast<std::size_t>(rules.bootstrap));
    for (std::size_t sample = 0; sample < means.size(); ++sample) {
        Words words(rules.seed, Purpose::bootstrap, static_cast<std::int64_t>(sample));
        double sum = 0;
        for (std::uint32_t j = 0; j < n; ++j) sum += values[words.below(n)];
        means[sample] = sum / n;
    }
    return percentile_interval(std::move(means));
}

Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator,
                         const StatsRules& rules) {
    const auto n = static_cast<std::uint32_t>(numerator.size());
    std::vector<double> ratios;
    for (std::int64_t sample = 0; n > 0 && sample < rules.bootstrap; ++sample) {
        Words words(rules.seed, Purpose::bootstrap, sample);
        double above = 0, below = 0;
        for (std::uint32_t j = 0; j < n; ++j) {
            const auto index = words.below(n);
            above += numerator[index];
            below += denominator[index];
        }
        if (below != 0) ratios.push_back(above / below);
    }
    return percentile_interval(std::move(ratios));
}

Interval bootstrap(std::int64_t n, const StatsRules& rules,
                   const std::function<double(std::span<const std::int32_t>)>& statistic) {
    std::vector<double> values;
    for (std::int64_t sample = 0; n > 0 && sample < rules.bootstrap; ++sample) {
        const double value = statistic(bootstrap_indices(rules.seed, sample, n));
        if (!std::isnan(value)) values.push_back(value);
    }
    return percentile_interval(std::move(values));
}

double sign_flip_p(std::span<const double> values, const StatsRules& rules) {
    if (values.empty()) return nan;
    double observed = 0, magnitude = 0;
    for (double value : values) {
        observed += value;
        magnitude += std::abs(value);
    }
    const double least = std::abs(observed) - 1e-12 * magnitude;
    std::int64_t extreme = 0;
    for (std::int64_t sample = 0; sample < rules.sign_flips; ++sample) {
        Words words(rules.seed, Purpose::sign_flips, sample);
        double sum = 0;
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < values.size(); ++j) {
            if (j % 32 == 0) bits = words.next();
            const std::uint64_t sign = std::uint64_t{bits >> (j % 32) & 1} << 63;  // branches would be mispredicted
            sum += std::bit_cast<double>(std::bit_cast<std::uint64_t>(values[j]) ^ sign);
        }
        extreme += std::abs(sum) >= least;
    }
    return static_cast<double>(1 + extreme) / static_cast<double>(1 + rules.sign_flips);
}

Summary summarize(std::span<const double> values, const StatsRules& rules) {
    const auto positive = std::count_if(values.begin(), values.end(), [](double value) { return value > 0; });
    return {static_cast<std::int64_t>(values.size()), mean(values), bootstrap_mean(values, rules),
            sign_flip_p(values, rules),
            values.empty() ? nan : static_cast<double>(positive) / static_cast<double>(values.size())};
}

}  // namespace moesweep
