// Random numbers against published vectors, statistics against hand-computed values and properties.
// tests/oracle/test_stats.py compares the same functions with numpy and scipy.
#include "moesweep/stats/stats.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace moesweep;

namespace {

std::vector<double> wavy(std::size_t n) {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(1.7 * static_cast<double>(i)) + 0.1;
    return values;
}

}  // namespace

TEST_CASE("philox gives the known answers of the Random123 distribution") {
    using Words = std::array<std::uint32_t, 4>;
    CHECK(philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("bootstrap indices are even, and differ by seed and sample") {
    std::vector<std::int64_t> seen(7);
    for (std::int64_t sample = 0; sample < 10000; ++sample) {
        for (auto index : bootstrap_indices(3, sample, 7)) ++seen.at(static_cast<std::size_t>(index));
    }
    for (auto count : seen) CHECK(std::abs(static_cast<double>(count) - 10000) < 400);  // 4 standard deviations
    CHECK(bootstrap_indices(0, 0, 50) != bootstrap_indices(0, 1, 50));
    CHECK(bootstrap_indices(0, 0, 50) != bootstrap_indices(1, 0, 50));
    CHECK(bootstrap_indices(0, 0, 50) != bootstrap_indices(std::int64_t{1} << 32, 0, 50));
    CHECK(bootstrap_indices(0, 0, 1) == std::vector<std::int32_t>{0});
    CHECK(bootstrap_indices(0, 0, 0).empty());
}

TEST_CASE("bootstrap indices skip the words that would favour some of them") {
    constexpr std::uint64_t n = 3000000, uneven = (std::uint64_t{1} << 32) % n;
    std::vector<std::int32_t> expected;
    std::uint32_t skipped = 0;
    for (std::uint32_t block = 0; expected.size() < n; ++block) {
        for (std::uint64_t word : philox({block, 4, 0, 0}, {8, 0})) {
            if (static_cast<std::uint32_t>(word * n) < uneven) {
                ++skipped;
            } else if (expected.size() < n) {
                expected.push_back(static_cast<std::int32_t>(word * n >> 32));
            }
        }
    }
    CHECK(skipped > 0);
    CHECK((bootstrap_indices(8, 4, n) == expected));
}

TEST_CASE("signs are even, and differ by seed and sample") {
    std::int64_t sum = 0;
    for (std::int64_t sample = 0; sample < 1000; ++sample) {
        for (int sign : random_signs(0, sample, 100)) {
            REQUIRE(std::abs(sign) == 1);
            sum += sign;
        }
    }
    CHECK(std::abs(static_cast<double>(sum)) < 4 * std::sqrt(100000.0));
    CHECK(random_signs(0, 0, 64) != random_signs(0, 1, 64));
    CHECK(random_signs(0, 0, 64) != random_signs(1, 0, 64));
}

TEST_CASE("a longer column begins with the draws of a shorter one") {
    const auto shorter = random_signs(5, 17, 10), longer = random_signs(5, 17, 200);
    CHECK(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

TEST_CASE("an interval is made of the means of the exported indices") {
    const auto values = wavy(128);
    const StatsRules rules{41, 0, 9};  // 41 samples: the 2.5% and 97.5% quantiles are order statistics 1 and 39
    std::vector<double> means;
    for (std::int64_t sample = 0; sample < rules.bootstrap; ++sample) {
        double sum = 0;
        for (auto index : bootstrap_indices(rules.seed, sample, 128)) sum += values[static_cast<std::size_t>(index)];
        means.push_back(sum / 128);
    }
    std::sort(means.begin(), means.end());
    const Interval interval = bootstrap_mean(values, rules);
    CHECK(interval.low == means[1]);
    CHECK(interval.high == means[39]);
}

TEST_CASE("a constant has no width and the least p value") {
    const std::vector<double> values(100, 0.375);
    const Summary s = summarize(values, {});
    CHECK(s.n == 100);
    CHECK(s.mean == 0.375);
    CHECK(s.ci.low == 0.375);
    CHECK(s.ci.high == 0.375);
    CHECK(s.p == 1.0 / 10001);
    CHECK(s.positive_fraction == 1);
}

TEST_CASE("a symmetric sample has p = 1") {
    std::vector<double> values;
    for (int i = 1; i <= 20; ++i) {
        values.push_back(0.1 * i);
        values.push_back(-0.1 * i);
    }
    CHECK(sign_flip_p(values, {}) == 1);  // its mean is 0 up to rounding: no flipped mean is nearer
    CHECK(summarize(values, {}).positive_fraction == 0.5);
}

TEST_CASE("zeros are neither positive nor evidence") {
    const Summary s = summarize(std::vector<double>(12, 0.0), {});
    CHECK(s.mean == 0);
    CHECK(s.p == 1);
    CHECK(s.positive_fraction == 0);
}

TEST_CASE("one value: both signs are equally extreme") {
    const Summary s = summarize(std::vector<double>{-2.0}, {});
    CHECK(s.mean == -2);
    CHECK(s.ci.low == -2);
    CHECK(s.ci.high == -2);
    CHECK(s.p == 1);
}

TEST_CASE("a p value counts sums that differ by rounding alone as equal") {
    const std::vector<double> ascending{0.1, 0.2, 0.3, -0.3}, descending{-0.3, 0.3, 0.2, 0.1};
    const StatsRules rules{1, 200000, 0};
    // Of the 16 patterns, |+-0.1 +-0.2 +-0.3 +-0.3| >= 0.3 holds for the 8 in which both 0.3 agree and for the 4 in
    // which they cancel but 0.1 and 0.2 agree; the latter are ties with the observed 0.3, rounded in several ways.
    CHECK(sign_flip_p(ascending, rules) == Approx(0.75).margin(0.005));
    CHECK(sign_flip_p(descending, rules) == Approx(0.75).margin(0.005));
}

TEST_CASE("flipping every sign mirrors the summary") {
    auto values = wavy(60);
    const Summary plus = summarize(values, {});
    for (auto& value : values) value = -value;
    const Summary minus = summarize(values, {});
    CHECK(minus.mean == -plus.mean);
    CHECK(minus.ci.low == Approx(-plus.ci.high).epsilon(1e-12));
    CHECK(minus.p == plus.p);
}

TEST_CASE("the order of the cases does not move the mean, and moves an interval by sampling error only") {
    auto values = wavy(128);
    const Summary before = summarize(values, {});
    std::reverse(values.begin(), values.end());
    const Summary after = summarize(values, {});
    CHECK(after.mean == Approx(before.mean).epsilon(1e-12));
    CHECK(after.positive_fraction == before.positive_fraction);
    const double width = before.ci.high - before.ci.low;
    CHECK(std::abs(after.ci.low - before.ci.low) < 0.05 * width);
    CHECK(std::abs(after.p - before.p) < 0.03);
}

TEST_CASE("nothing in, NaN out, and n says why") {
    const Summary s = summarize({}, {});
    CHECK(s.n == 0);
    for (double number : {s.mean, s.ci.low, s.ci.high, s.p, s.positive_fraction}) CHECK(std::isnan(number));
    CHECK(std::isnan(bootstrap_mean(std::vector<double>{1.0}, {0, 0, 0}).low));  // no resamples asked for
    CHECK(sign_flip_p(std::vector<double>{1.0}, {0, 0, 0}) == 1);
}

TEST_CASE("a ratio of means is resampled by the same cases above and below") {
    const StatsRules rules{400, 1, 5};
    const auto below = wavy(31);
    std::vector<double> above, ratios;
    for (std::size_t i = 0; i < below.size(); ++i) above.push_back(0.5 * below[i] + std::cos(static_cast<double>(i)));
    for (std::int64_t sample = 0; sample < rules.bootstrap; ++sample) {
        double a = 0, b = 0;
        for (auto index : bootstrap_indices(rules.seed, sample, 31)) {
            a += above[static_cast<std::size_t>(index)];
            b += below[static_cast<std::size_t>(index)];
        }
        ratios.push_back(a / b);
    }
    std::sort(ratios.begin(), ratios.end());
    const auto ci = bootstrap_ratio(above, below, rules);
    CHECK(ci.low >= ratios[9]);  // 0.025 x 399 = 9.975
    CHECK(ci.low <= ratios[10]);
    CHECK(ci.high >= ratios[389]);
    CHECK(ci.high <= ratios[390]);

    const auto same = bootstrap_ratio(below, below, rules);
    CHECK(same.low == 1);
    CHECK(same.high == 1);
}

TEST_CASE("a ratio to nothing has no interval, and resamples that add up to 0 are left out") {
    const StatsRules rules{50, 1, 0};
    CHECK(std::isnan(bootstrap_ratio({}, {}, rules).low));
    const std::vector<double> zero{0, 0, 0}, one{1, 1, 1}, seldom{0, 0, 2};
    CHECK(std::isnan(bootstrap_ratio(one, zero, rules).high));
    const auto finite = bootstrap_ratio(one, seldom, rules);  // 3 / (2 x how often the last case is drawn)
    CHECK(finite.low >= 0.5);
    CHECK(finite.high <= 1.5);
}
