#include "moesweep/stats/mann_whitney.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <catch2/catch.hpp>

using namespace moesweep;

namespace {

/// U by comparing all pairs.
double naive_u(std::span<const double> values, const std::vector<bool>& of_first) {
    double u = 0;
    for (std::size_t i = 0; i < values.size(); i++)
        for (std::size_t j = 0; j < values.size(); j++)
            if (of_first[i] && !of_first[j]) u += (values[i] > values[j]) + 0.5 * (values[i] == values[j]);
    return u;
}

/// The share of all ways to choose the first sample in which U is not below the one at hand.
double enumerated_p(std::span<const double> values, std::size_t first) {
    std::vector<bool> chosen(values.size());
    std::fill_n(chosen.begin(), first, true);
    const double observed = naive_u(values, chosen);
    double ways = 0, extreme = 0;
    do {
        ways++;
        extreme += naive_u(values, chosen) >= observed;
    } while (std::prev_permutation(chosen.begin(), chosen.end()));
    return extreme / ways;
}

double naive_median(std::vector<double> values) {
    std::ranges::sort(values);
    const std::size_t n = values.size();
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace

TEST_CASE("U counts pairs, and exact p counts choices") {
    std::mt19937 random(3);
    for (std::size_t first = 1; first <= 7; first++) {
        for (std::size_t second = 1; second <= 6; second++) {
            INFO(first << " and " << second);
            std::vector<double> values(first + second);
            std::iota(values.begin(), values.end(), 0.5);
            std::ranges::shuffle(values, random);
            const UTest test = MannWhitney(first, second, PValue::exact)(values);
            std::vector<bool> of_first(values.size());
            std::fill_n(of_first.begin(), first, true);
            CHECK(test.u == naive_u(values, of_first));
            CHECK(test.p == Approx(enumerated_p(values, first)).epsilon(1e-13));
        }
    }
}

TEST_CASE("ties count a half, and the medians are those of each sample") {
    std::mt19937 random(4);
    std::uniform_int_distribution<int> value(0, 3), size(1, 9);
    for (int round = 0; round < 200; round++) {
        const auto first = static_cast<std::size_t>(size(random)), second = static_cast<std::size_t>(size(random));
        std::vector<double> values(first + second);
        for (double& one : values) one = value(random) / 3.0;
        std::vector<bool> of_first(values.size());
        std::fill_n(of_first.begin(), first, true);
        const UTest test = MannWhitney(first, second, PValue::normal)(values);
        CHECK(test.u == naive_u(values, of_first));
        const auto middle = values.begin() + static_cast<std::ptrdiff_t>(first);
        CHECK(test.median_difference == naive_median({values.begin(), middle}) - naive_median({middle, values.end()}));
    }
}

TEST_CASE("the normal p is corrected for continuity and ties") {
    // By hand: U = 8.5 of 9, mean 4.5; of six values two are tied, which leaves the variance 9/12 x (7 - 6/30).
    const UTest test = MannWhitney(3, 3, PValue::normal)(std::vector<double>{3, 4, 5, 1, 2, 3});
    CHECK(test.u == 8.5);
    CHECK(test.p == Approx(std::erfc(3.5 / std::sqrt(0.75 * 6.8) / std::sqrt(2)) / 2).epsilon(1e-14));
}

TEST_CASE("samples in which all values are equal") {
    const std::vector<double> values(7, 0.25);
    const UTest normal = MannWhitney(3, 4, PValue::normal)(values), exact = MannWhitney(3, 4, PValue::exact)(values);
    CHECK(normal.u == 6);
    CHECK(normal.p == 1);
    CHECK(exact.p == Approx(20.0 / 35).epsilon(1e-14));
    CHECK(normal.median_difference == 0);
}

TEST_CASE("one object tests many pairs of samples, each as the first") {
    MannWhitney test(4, 3, PValue::normal);
    const std::vector<double> high{5, 6, 7, 8, 1, 2, 3}, low{1, 2, 3, 4, 5, 6, 7};
    const UTest once = test(high);
    CHECK(test(low).u == 0);
    const UTest again = test(high);
    CHECK(once.u == 12);
    CHECK(again.u == once.u);
    CHECK(again.p == once.p);
    CHECK(again.median_difference == once.median_difference);
}
