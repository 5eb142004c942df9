// Exact Shapley values: games whose answer is known, and runs planted with them.
#include <bit>
#include <cmath>
#include <numeric>
#include <random>

#include "moesweep/base/error.h"
#include "result_tables.h"
#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;

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

constexpr std::int32_t first = 4, second = 1, third = 6;

/// Eight cases of the study, i from 0 to 7: the clean run routes to three experts, to `third` only where i < 6, else to
/// 0. Alone, `first` is worth 1 + i / 8, `second` 1/2, the other -1/4; first and second together are worth 1 more.
std::vector<double> planted_game(int i) {
    return values_of(3, [&](std::size_t set) {
        return (set & 1 ? 0.5 : 0) + (set & 2 ? 1 + i / 8.0 : 0) + (set & 4 ? -0.25 : 0) + ((set & 3) == 3 ? 1 : 0);
    });
}

HandRun planted(bool reversed = false) {
    HandRun run(8, 3, 4, 2);
    run.config.controls.random = 1;
    run.config.sweep.subsets = true;
    for (int step = 0; step < 8; ++step) {
        const int i = reversed ? 7 - step : step;
        const auto c = run.add_case(i < 4 ? Split::discovery : Split::validation, i);
        const auto game = planted_game(i);
        run.layer(c, 2, game[7], {second, first, i < 6 ? third : 0}, {game[1], game[2], game[4]});
        for (std::int32_t set = 1; set < 8; ++set) {
            HandRun::add_row(run.controls, c, 2, Kind::subset, game[static_cast<std::size_t>(set)], -1, false, set);
        }
    }
    return run;
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

TEST_CASE("the table shares the coalition's rescue as planted") {
    const auto tables = planted().results().tables;
    const ResultTable& t = table_named(tables, "shapley");
    CHECK(attribute(t, "note") == "");
    CHECK(column<std::int32_t>(t, "layer") == std::vector<std::int32_t>(4, 2));
    CHECK(column<std::int32_t>(t, "expert") ==
          std::vector<std::int32_t>{first, second, 0, third});  // a tie: lower index
    CHECK(column<std::int64_t>(t, "n") == std::vector<std::int64_t>{8, 8, 2, 6});
    const double by_first = 1.5 + 28 / 8.0 / 8, by_second = 1, coalition = by_first + by_second - 0.25;
    check_values(column(t, "mean"), {by_first, by_second, -0.25, -0.25});
    check_values(column(t, "share"),
                 {by_first / coalition, by_second / coalition, -0.25 * 2 / 8 / coalition, -0.25 * 6 / 8 / coalition});
    CHECK(sum(column(t, "share")) == Approx(1).epsilon(1e-12));
    CHECK(std::stod(attribute(t, "largest_residual")) < 1e-12);
    check_values(column(t, "ci_low"), {column(t, "ci_low")[0], 1, -0.25, -0.25});  // a constant's interval is itself
}

TEST_CASE("the shares do not depend on the order of cases or of rows") {
    const auto tables = planted().results().tables, turned = planted(true).results().tables;
    const ResultTable &a = table_named(tables, "shapley"), &b = table_named(turned, "shapley");
    CHECK(column<std::int32_t>(a, "expert") == column<std::int32_t>(b, "expert"));
    check_values(column(a, "mean"), column(b, "mean"));
    check_values(column(a, "share"), column(b, "share"));

    HandRun run = planted();
    const RowTable rows = run.controls;
    run.controls = {};
    for (std::size_t i = rows.size(); i-- > 0;) {
        HandRun::add_row(run.controls, rows.case_index[i], 2, Kind::subset, rows.rescue[i], -1, false, rows.members[i]);
    }
    const auto same = run.results().tables;
    CHECK(column(table_named(same, "shapley"), "ci_low") == column(a, "ci_low"));
}

TEST_CASE(
    "subset rows of the sweep count like those of the second pass, at every layer, for cases of the study alone") {
    HandRun run = planted();
    run.cases[7].split = Split::none;
    for (std::int32_t c = 0; c < 8; ++c) {
        run.layer(c, 0, 0, {3, 5, 7}, {0, 0, 0});
        for (std::int32_t set = 1; set < 8; ++set) HandRun::add_row(run.rows, c, 0, Kind::subset, 0, -1, false, set);
    }
    const auto tables = run.results().tables;
    const ResultTable& t = table_named(tables, "shapley");
    CHECK(column<std::int32_t>(t, "layer") == std::vector<std::int32_t>{0, 0, 0, 2, 2, 2, 2});
    CHECK(column<std::int32_t>(t, "expert") == std::vector<std::int32_t>{3, 5, 7, first, second, 0, third});
    CHECK(column<std::int64_t>(t, "n") == std::vector<std::int64_t>{7, 7, 7, 7, 7, 1, 6});
    CHECK(std::isnan(column(t, "share")[0]));  // of nothing
}

TEST_CASE("missing subsets are said in words") {
    HandRun run = planted();
    SECTION("a case lacks one row") {
        run.controls.members.back() = 6;  // its full set is lost to another
        const auto tables = run.results().tables;
        const ResultTable& t = table_named(tables, "shapley");
        CHECK(column<std::int64_t>(t, "n") == std::vector<std::int64_t>{7, 7, 1, 6});
        CHECK_THAT(attribute(t, "note"), Contains("1 of 8 pairs of case and layer"));
    }
    SECTION("none asked for") {
        run.controls = {};
        run.config.sweep.subsets = false;
        const auto tables = run.results().tables;
        const ResultTable& t = table_named(tables, "shapley");
        CHECK(column(t, "mean").empty());
        CHECK_THAT(attribute(t, "note"), Contains("sweep.subsets = none"));
        CHECK(attribute(t, "largest_residual") == "");
    }
    SECTION("asked for, not there") {
        run.controls = {};
        const auto tables = run.results().tables;
        CHECK_THAT(attribute(table_named(tables, "shapley"), "note"), Contains("no rows of subsets"));
    }
    SECTION("a member that the routing does not have") {
        run.controls.members.back() = 8;
        CHECK_THROWS_WITH(run.results(), "controls: rows: members: line 55 has 8, expected 1 to 7");
        run.controls.members.back() = 0;
        CHECK_THROWS_WITH(run.results(), "controls: rows: members: line 55 has 0, expected 1 to 7");
    }
}
