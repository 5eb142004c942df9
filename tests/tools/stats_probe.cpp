// stats_probe SEED BOOTSTRAP SIGN_FLIPS < values: the statistics of a column, for the oracle in Python. Prints a line
// with n, mean, interval, p and positive fraction, a line of indices per bootstrap resample, and a line of signs per
// sign flip.
#include <fmt/ranges.h>

#include <cstdlib>
#include <iostream>
#include <iterator>

#include "moesweep/stats/stats.h"

int main(int argc, char** argv) {
    using namespace moesweep;
    if (argc != 4) {
        fmt::print(stderr, "usage: {} SEED BOOTSTRAP SIGN_FLIPS < values\n", argv[0]);
        return 64;
    }
    const StatsRules rules{std::atoll(argv[2]), std::atoll(argv[3]), std::atoll(argv[1])};
    const std::vector<double> values{std::istream_iterator<double>(std::cin), {}};
    const auto n = static_cast<std::int64_t>(values.size());
    const Summary s = summarize(values, rules);
    fmt::print("{} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g}\n", s.n, s.mean, s.ci.low, s.ci.high, s.p,
               s.positive_fraction);
    for (std::int64_t i = 0; i < rules.bootstrap; ++i) {
        fmt::print("{}\n", fmt::join(bootstrap_indices(rules.seed, i, n), " "));
    }
    for (std::int64_t i = 0; i < rules.sign_flips; ++i)
        fmt::print("{}\n", fmt::join(random_signs(rules.seed, i, n), " "));
}
