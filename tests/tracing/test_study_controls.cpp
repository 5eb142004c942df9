// The controls of the selected expert: gate-matched, of equal norm, and the other of two; and the relaxed study.
#include <cmath>
#include <numeric>
#include <random>

#include "result_tables.h"
#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;
using Counts = std::vector<std::int64_t>;

namespace {

constexpr std::int32_t star = 5, twin = 2, strong = 7;  // selected, its gate-matched twin, and one of far weight
constexpr int planted_cases = 24;

/// Layer 3 routes to star, twin (nearest weight) and strong (large rescue); every fourth case not to star. The case
/// with number i has rescues 1 + i / 8 by star, i / 16 by twin; at equal norm both are halved.
HandRun planted(const std::vector<int>& order) {
    HandRun run(8, 3, planted_cases / 2, 4);
    run.config.controls.random = 1;
    for (int i : order) {
        const auto c = run.add_case(i < planted_cases / 2 ? Split::discovery : Split::validation, i);
        if (i % 4 == 3) {
            run.layer(c, 3, 4, {strong, 0, twin}, {0, 0, 0});
            continue;
        }
        const double by_star = 1 + i / 8.0, by_twin = i / 16.0;
        run.layer(c, 3, 4, {strong, star, twin}, {i == 0 ? 9.0 : -1.0, by_star, by_twin});
        const auto clean = run.routing.weight.end() - 2 * run.routing.k;
        std::ranges::copy(std::vector{0.6f, 0.25f, 0.15f}, clean);
        HandRun::add_row(run.controls, c, 3, Kind::equal_norm, by_twin / 2, twin, true);
        HandRun::add_row(run.controls, c, 3, Kind::equal_norm, by_star / 2, star, true);
    }
    return run;
}

HandRun planted() {
    std::vector<int> order(planted_cases);
    std::iota(order.begin(), order.end(), 0);
    return planted(order);
}

/// Mean of f(i) over the validation cases where star is active: 12, 13, 14, 16, ...
template <class F>
double over_active(F f) {
    double sum = 0;
    for (int i = planted_cases / 2; i < planted_cases; ++i) sum += i % 4 == 3 ? 0 : f(i);
    return sum / 9;
}

/// Two experts a token: star with rescue 1 + i / 8 and a changing partner with 2 + i / 8; at equal norm 0.5 and 0.75.
HandRun pairs() {
    HandRun run(8, 2, 4, 2);
    run.config.controls.random = 1;
    for (int i = 0; i < 10; ++i) {
        const auto c = run.add_case(i < 4 ? Split::discovery : Split::validation, i);
        run.layer(c, 0, 1, {i % 4, star}, {2 + i / 8.0, 1 + i / 8.0});
        HandRun::add_row(run.controls, c, 0, Kind::equal_norm, 0.75, i % 4, true);
        HandRun::add_row(run.controls, c, 0, Kind::equal_norm, 0.5, star, true);
    }
    return run;
}

/// Strict: cases 0-3 select layer 0 and expert 1, cases 4-7 test. Relaxed: cases 8-13 select layer 1 and expert 4,
/// cases 6, 7 and 14-17 test.
HandRun relaxed() {
    HandRun run(6, 2, 4, 2);
    run.config.controls.random = 1;
    run.config.scale_up = {12, 0.5, 0.25, 6, 3};
    for (int i = 0; i < 18; ++i) {
        const auto c = run.add_case(i < 4 ? Split::discovery : i < 8 ? Split::validation : Split::none, i);
        run.cases[static_cast<std::size_t>(c)].relaxed_split = i < 6              ? Split::none
                                                               : i >= 8 && i < 14 ? Split::discovery
                                                                                  : Split::validation;
        run.layer(c, 0, 2, {1, 2}, {1 + i / 16.0, 0.5});
        run.layer(c, 1, i < 8 ? 0 : 4, {4, 5}, {i / 4.0, 0.25});
    }
    return run;
}

}  // namespace

TEST_CASE("the gate-matched control is the other expert with the nearest weight") {
    const std::vector<std::int32_t> experts{7, 3, 9, 1};
    const auto control = [&](const std::vector<float>& weights, std::int32_t selected) {
        return gate_matched_control(experts, weights, selected);
    };
    CHECK(control({0.5f, 0.25f, 0.125f, 0.125f}, 7) == 3);
    CHECK(control({0.5f, 0.25f, 0.125f, 0.125f}, 9) == 1);
    CHECK(control({0.5f, 0.375f, 0.25f, 0.125f}, 3) == 7);  // a tie between 7 and 9: the lower index
    CHECK(control({0.5f, 0.375f, 0.25f, 0.125f}, 9) == 1);  // a tie between 3 and 1, whatever their order
    CHECK(control({0.25f, 0.25f, 0.25f, 0.25f}, 1) == 3);   // all alike
    CHECK_FALSE(control({0.25f, 0.25f, 0.25f, 0.25f}, 2));  // not routed
    CHECK_FALSE(gate_matched_control(std::vector{4}, std::vector{1.0f}, 4));  // no other beside it
    CHECK_FALSE(gate_matched_control({}, {}, 4));
}

TEST_CASE("gate_matched: the planted twin has next to nothing, raw and at equal norm") {
    const auto tables = planted().results().tables;
    const ResultTable& t = table_named(tables, "gate_matched");
    CHECK(attribute(t, "note") == "");
    CHECK(column<std::string>(t, "quantity") ==
          Texts{"selected", "matched_control", "spec", "selected", "matched_control", "spec"});
    CHECK(column<std::string>(t, "version") == Texts{"raw", "raw", "raw", "equal_norm", "equal_norm", "equal_norm"});
    CHECK(column<std::int64_t>(t, "n") == Counts(6, 9));
    const double by_star = over_active([](int i) { return 1 + i / 8.0; });
    const double by_twin = over_active([](int i) { return i / 16.0; });
    check_values(column(t, "mean"),
                 {by_star, by_twin, by_star - by_twin, by_star / 2, by_twin / 2, (by_star - by_twin) / 2});
    CHECK(column(t, "positive_fraction") == std::vector<double>(6, 1));
    for (double low : column(t, "ci_low")) CHECK(low > 0);
}

TEST_CASE("gate_matched does not depend on the order of cases or of rows") {
    std::vector<int> order(planted_cases);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(3));
    const auto tables = planted().results().tables, shuffled = planted(order).results().tables;
    const ResultTable &a = table_named(tables, "gate_matched"), &b = table_named(shuffled, "gate_matched");
    check_values(column(a, "mean"), column(b, "mean"));
    CHECK(column<std::int64_t>(a, "n") == column<std::int64_t>(b, "n"));

    HandRun turned = planted();
    const RowTable rows = turned.controls;
    turned.controls = {};
    for (std::size_t i = rows.size(); i-- > 0;) {
        HandRun::add_row(turned.controls, rows.case_index[i], 3, rows.kind[i], rows.rescue[i], rows.expert[i], true);
    }
    const auto same = turned.results().tables;
    CHECK(column(table_named(same, "gate_matched"), "ci_low") == column(a, "ci_low"));
}

TEST_CASE("gate_matched without equal-norm rows keeps its raw lines and says so") {
    HandRun run = planted();
    SECTION("not asked for") {
        run.controls = {};
        run.config.controls.equal_norm = false;
        const auto tables = run.results().tables;
        const ResultTable& t = table_named(tables, "gate_matched");
        CHECK(column<std::string>(t, "version") == Texts{"raw", "raw", "raw"});
        CHECK_THAT(attribute(t, "note"), Contains("controls.equal_norm = no"));
    }
    SECTION("one expert's rows are of another layer, one case has none") {
        run.controls.layer.back() = 2;
        run.controls.case_index[run.controls.size() - 3] = 0;
        const auto tables = run.results().tables;
        const ResultTable& t = table_named(tables, "gate_matched");
        CHECK(column<std::int64_t>(t, "n") == Counts{9, 9, 9, 7, 7, 7});
        CHECK_THAT(attribute(t, "note"), Contains("no equal-norm rows for 2 of 9 pairs"));
    }
    SECTION("a patch of norm 0 needs none: both scaled patches are zero") {
        run.controls = {};
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            if (run.rows.expert[i] == twin) run.rows.patch_norm[i] = 0;
        }
        const auto tables = run.results().tables;
        const ResultTable& t = table_named(tables, "gate_matched");
        CHECK(attribute(t, "note") == "");
        CHECK(column<std::int64_t>(t, "n") == Counts(6, 9));
        CHECK(column(t, "mean")[5] == 0);
    }
}

TEST_CASE("without a control or an expert, gate_matched and two_experts have no line and say why") {
    HandRun one(3, 1, 2, 2);
    for (int i = 0; i < 5; ++i) {
        one.layer(one.add_case(i < 2 ? Split::discovery : Split::validation, i), 0, 1, {1}, {0.75});
    }
    const auto alone = one.results().tables;
    CHECK(column(table_named(alone, "gate_matched"), "mean").empty());
    CHECK_THAT(attribute(table_named(alone, "gate_matched"), "note"), Contains("another one beside it"));
    CHECK_THAT(attribute(table_named(alone, "two_experts"), "note"), Contains("1 experts, not to 2"));

    HandRun none = pairs();
    none.config.select.recurrence = 5;
    const auto unselected = none.results().tables;
    for (const char* name : {"gate_matched", "two_experts"}) {
        CHECK(column(table_named(unselected, name), "mean").empty());
        CHECK_THAT(attribute(table_named(unselected, name), "note"), Contains("No expert is selected"));
    }
}

TEST_CASE("two_experts: the two active experts, raw and at equal norm") {
    HandRun run = pairs();
    auto tables = run.results().tables;
    const ResultTable& t = table_named(tables, "two_experts");
    CHECK(attribute(t, "note") == "");
    CHECK(column<std::string>(t, "quantity") ==
          Texts{"raw_spec", "selected_equal_norm", "other_equal_norm", "equal_norm_spec"});
    CHECK(column<std::int64_t>(t, "n") == Counts(4, 6));
    check_values(column(t, "mean"), {-1, 0.5, 0.75, -0.25});
    check_values(column(t, "ci_high"), {-1, 0.5, 0.75, -0.25});  // a constant's interval is itself
    CHECK(column(t, "positive_fraction") == std::vector<double>{0, 1, 1, 0});

    const auto three = planted().results().tables;
    CHECK(column(table_named(three, "two_experts"), "mean").empty());
    CHECK_THAT(attribute(table_named(three, "two_experts"), "note"), Contains("3 experts, not to 2"));
}

TEST_CASE("relaxed: the relaxed study selects and tests on its own halves") {
    const auto tables = relaxed().results().tables;
    const ResultTable& t = table_named(tables, "relaxed");
    CHECK(attribute(t, "note") == "");
    CHECK(attribute(t, "layer") == "1");
    CHECK(attribute(t, "expert") == "4");
    CHECK(attribute(t, "discovery_active") == "6");
    CHECK(attribute(t, "discovery_cases") == "6");
    CHECK(column<std::string>(t, "quantity") == Texts{"layer_rescue", "expert_rescue", "spec"});
    CHECK(column<std::int64_t>(t, "n") == Counts(3, 6));
    const double by_expert = (6 + 7 + 14 + 15 + 16 + 17) / 4.0 / 6;
    check_values(column(t, "mean"), {16.0 / 6, by_expert, by_expert - 0.25});
}

TEST_CASE("relaxed_transfer: the strict selection on the relaxed validation half, with and without the overlap") {
    const auto results = relaxed().results();
    CHECK(results.study.selected == Selection{0, 1});
    const ResultTable& t = table_named(results.tables, "relaxed_transfer");
    CHECK(attribute(t, "note") == "");
    CHECK(attribute(t, "overlap") == "2");
    CHECK(column<std::string>(t, "subset") == Texts{"all", "all", "all", "new", "new", "new"});
    CHECK(column<std::int64_t>(t, "n") == Counts{6, 6, 6, 4, 4, 4});
    const double all = 1 + (6 + 7 + 14 + 15 + 16 + 17) / 16.0 / 6, fresh = 1 + (14 + 15 + 16 + 17) / 16.0 / 4;
    check_values(column(t, "mean"), {2, all, all - 0.5, 2, fresh, fresh - 0.5});
}

TEST_CASE("a relaxed study that cannot be made says why") {
    HandRun run = relaxed();
    const auto note = [&](const char* name) {
        const auto tables = run.results().tables;
        return attribute(table_named(tables, name), "note");
    };
    const auto lines = [&](const char* name) {
        const auto tables = run.results().tables;
        return column(table_named(tables, name), "mean").size();
    };
    SECTION("not asked for") {
        run.config.scale_up.limit = 0;
        for (const char* name : {"relaxed", "relaxed_transfer"}) {
            CHECK_THAT(note(name), Contains("scale_up.limit = 0"));
            CHECK(lines(name) == 0);
        }
    }
    SECTION("too few cases for a validation half") {
        for (Case& c : run.cases) c.relaxed_split = c.fact.case_id == 8 ? Split::discovery : Split::none;
        for (const char* name : {"relaxed", "relaxed_transfer"}) {
            CHECK_THAT(note(name), Contains("no validation case: 1 discovery cases of the 6"));
            CHECK(lines(name) == 0);
        }
    }
    SECTION("no discovery case") {
        for (Case& c : run.cases) {
            if (c.relaxed_split == Split::discovery) c.relaxed_split = Split::none;
        }
        CHECK_THAT(note("relaxed"), Contains("no discovery case"));
        CHECK(lines("relaxed") == 0);
        CHECK(lines("relaxed_transfer") == 6);
    }
    SECTION("no recurrent expert: the layer alone") {
        run.config.scale_up.recurrence = 7;
        CHECK_THAT(note("relaxed"), Contains("at least 7 of the 6 discovery cases"));
        CHECK(lines("relaxed") == 1);
    }
    SECTION("no new case") {
        for (Case& c : run.cases) {
            if (c.split == Split::none && c.relaxed_split == Split::validation) c.relaxed_split = Split::none;
        }
        CHECK_THAT(note("relaxed_transfer"), Contains("no new ones"));
        CHECK(lines("relaxed_transfer") == 3);
    }
}
