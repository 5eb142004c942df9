// Exact Shapley values: games whose answer is known, and runs planted with them.
#include <bit>
#include <cmath>
#include <numeric>
#include <random>

#include "study_run.h"

using namespace moesweep;

namespace {

/// The 2^k values of a game given as a function of its coalition.
template <class Game>
std::vector<double> values_of(std::size_t players, Game game) {
    std::vector<double> values(std::size_t{1} << players);
    for (std::size_t set = 0; set < values.size(); ++set) values[set] = game(set);
    return values;
}

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

/// The definition in its other form: a player's mean gain over all k! orders of arrival.
std::vector<double> by_orders(const std::vector<double>& values) {
    const auto players = static_cast<std::size_t>(std::countr_zero(values.size()));
    std::vector<std::size_t> order(players);
    std::iota(order.begin(), order.end(), 0);
    std::vector<double> shares(players, 0);
    double orders = 0;
    do {
        std::size_t present = 0;
        for (auto player : order) {
            shares[player] += values[present | std::size_t{1} << player] - values[present];
            present |= std::size_t{1} << player;
        }
        ++orders;
    } while (std::ranges::next_permutation(order).found);
    for (double& share : shares) share /= orders;
    return shares;
}

}  // namespace

TEST_CASE("an additive game gives each player its own value") {
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    for (std::size_t players = 1; players <= 16; ++players) {
        std::vector<double> worth(players);
        for (double& w : worth) w = normal(random);
        const auto shares = shapley_values(values_of(players, [&](std::size_t set) {
            double total = 0;
            for (std::size_t i = 0; i < players; ++i) total += set >> i & 1 ? worth[i] : 0;
            return total;
        }));
        REQUIRE(shares.size() == players);
        for (std::size_t i = 0; i < players; ++i) CHECK(shares[i] == Approx(worth[i]).margin(1e-12));
    }
}

TEST_CASE("a symmetric game is shared equally") {
    for (std::size_t players = 1; players <= 16; ++players) {
        const auto majority = [&](std::size_t set) {
            return 2 * static_cast<std::size_t>(std::popcount(set)) > players ? 1.0 : 0.0;
        };
        for (double share : shapley_values(values_of(players, majority))) {
            CHECK(share == Approx(1.0 / static_cast<double>(players)).epsilon(1e-12));
        }
    }
}

TEST_CASE("a player who adds nothing gets nothing, and the glove game comes out as 2/3, 1/6, 1/6") {
    const auto glove = [](std::size_t set) { return set & 1 && set & 6 ? 1.0 : 0.0; };  // bit 3: a dummy
    const auto shares = shapley_values(values_of(4, glove));
    CHECK(shares[0] == Approx(2.0 / 3).epsilon(1e-14));
    CHECK(shares[1] == Approx(1.0 / 6).epsilon(1e-14));
    CHECK(shares[2] == Approx(1.0 / 6).epsilon(1e-14));
    CHECK(shares[3] == 0);
}

TEST_CASE("random games: the mean over all orders of arrival, and the sum is the value of all") {
    std::mt19937_64 random(2);
    std::normal_distribution<double> normal;
    for (std::size_t players = 1; players <= 16; ++players) {
        const auto values = values_of(players, [&](std::size_t set) { return set == 0 ? 0 : normal(random); });
        const auto shares = shapley_values(values);
        CHECK(sum(shares) == Approx(values.back()).margin(1e-12));
        if (players > 7) continue;
        const auto expected = by_orders(values);
        for (std::size_t i = 0; i < players; ++i) CHECK(shares[i] == Approx(expected[i]).margin(1e-12));
    }
}

TEST_CASE("no player, no share") {
    CHECK(shapley_values(std::vector<double>{0.0}).empty());
}
