// Other scales and other draws of the noise.
#include <cmath>

#include "result_tables.h"
#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;
using Indices = std::vector<std::int32_t>;

namespace {

/// One sweep of 4 discovery and 6 validation cases, of which case 9 does not route to expert 1. At layer 0 expert 1 has
/// rescue `by_one` + i / 8 and expert 2 has 1/2; the block has 2 at layer 0 and `block_above` at layer 1, whose expert
/// 3 has 4.
HandRun sweep(double by_one, double block_above, double delta_clean) {
    HandRun run(5, 2, 4, 3);
    run.config.controls.random = 1;
    run.config.noise.scale = 3;
    for (int i = 0; i < 10; ++i) {
        const auto c = run.add_case(i < 4 ? Split::discovery : Split::validation, i);
        run.base.delta_clean.back() = delta_clean + i;
        run.layer(c, 0, 2, {i == 9 ? 4 : 1, 2}, {by_one + i / 8.0, 0.5});
        run.layer(c, 1, block_above, {3, 2}, {4, 0});
    }
    return run;
}

/// Mean of i / 8 over the validation cases that route to expert 1, a share of all 6.
constexpr double slope = (4 + 5 + 6 + 7 + 8) / 8.0 / 6;

HandRun::Noised condition(double scale, std::int32_t draw, const HandRun& run) {
    return {scale, draw, {{}, run.base, run.routing, run.rows}};
}

}  // namespace

TEST_CASE("noise_scales: the fixed expert at every scale, and what each scale would select") {
    HandRun run = sweep(1, 0, 2);
    run.conditions = {condition(3, 1, sweep(50, 50, 50)), condition(4, 0, sweep(2, 1, 5)),
                      condition(1, 0, sweep(0.25, 3, 1))};
    const auto results = run.results();
    CHECK(results.study.selected == Selection{0, 1});
    const ResultTable& t = table_named(results.tables, "noise_scales");
    CHECK(attribute(t, "note") == "");
    CHECK(column(t, "scale") == std::vector<double>{1, 1, 3, 3, 4, 4});
    CHECK(column<std::string>(t, "selection") ==
          std::vector<std::string>{"fixed", "anew", "fixed", "anew", "fixed", "anew"});
    CHECK(column<std::int32_t>(t, "layer") == Indices{0, 1, 0, 0, 0, 0});
    CHECK(column<std::int32_t>(t, "expert") == Indices{1, 3, 1, 1, 1, 1});
    CHECK(column<std::int32_t>(t, "n") == Indices(6, 6));
    CHECK(column<std::int32_t>(t, "active") == Indices{5, 6, 5, 5, 5, 5});
    check_values(column(t, "mean_drop"), {7.5, 7.5, 8.5, 8.5, 11.5, 11.5});
    const double at_1 = 0.25 * 5 / 6 + slope, at_3 = 5.0 / 6 + slope, at_4 = 10.0 / 6 + slope;
    check_values(column(t, "rescue_mean"), {at_1, 4, at_3, at_3, at_4, at_4});
    CHECK(column(t, "rescue_positive_fraction")[0] == Approx(5.0 / 6));
    CHECK(column<std::int64_t>(t, "rescue_n") == std::vector<std::int64_t>(6, 6));
}

TEST_CASE("noise_scales at the run's own scale is main_results") {
    const auto results = sweep(1, 0, 2).results();
    const ResultTable& t = table_named(results.tables, "noise_scales");
    CHECK(column(t, "rescue_mean") == std::vector<double>(2, line(results.study, "expert_rescue").mean));
    CHECK(column(t, "rescue_ci_low") == std::vector<double>(2, line(results.study, "expert_rescue").ci.low));
    CHECK_THAT(attribute(t, "note"), Contains("No other scale"));
}

TEST_CASE("draws: the means of each, and the error between them") {
    HandRun run = sweep(1, 0, 2);
    run.conditions = {condition(3, 1, sweep(1.5, 0, 2)), condition(3, 2, sweep(2, 0, 2)),
                      condition(4, 0, sweep(9, 9, 9))};
    const auto tables = run.results().tables;
    const ResultTable& t = table_named(tables, "draws");
    CHECK(attribute(t, "note") == "");
    CHECK(column<std::int32_t>(t, "draw") == Indices{0, 1, 2});
    CHECK(column(t, "scale") == std::vector<double>(3, 3));
    check_values(column(t, "layer_rescue"), {2, 2, 2});
    check_values(column(t, "expert_rescue"), {5.0 / 6 + slope, 7.5 / 6 + slope, 10.0 / 6 + slope});
    const auto number = [&](const char* name) { return std::stod(attribute(t, name)); };
    const double step = 2.5 / 6;  // three values a step apart: standard deviation of one step
    CHECK(number("layer_rescue_sd") == 0);
    CHECK(number("expert_rescue_sd") == Approx(step).epsilon(1e-12));
    CHECK(number("expert_rescue_se") == Approx(step / std::sqrt(3.0)).epsilon(1e-12));

    // Spec is the rescue minus 1/2 where the control is expert 2: all but case 9, whose control may be expert 4, and
    // which has the same control in each draw. There the control's rescue rises with the draw where expert 4 is drawn.
    const auto& spec = column(t, "spec");
    CHECK(spec[1] - spec[0] == Approx(spec[2] - spec[1]).epsilon(1e-12));
    CHECK(number("spec_sd") == Approx(spec[1] - spec[0]).epsilon(1e-12));
}

TEST_CASE("one draw has no error, in words") {
    const auto tables = sweep(1, 0, 2).results().tables;
    const ResultTable& t = table_named(tables, "draws");
    CHECK(column<std::int32_t>(t, "draw") == Indices{0});
    CHECK(attribute(t, "expert_rescue_se") == "");
    CHECK_THAT(attribute(t, "note"), Contains("noise.draws = 1"));
}

TEST_CASE("noise tables whose rows are missing say so") {
    HandRun run = sweep(1, 0, 2);
    SECTION("a condition without rows at the selected layer") {
        HandRun blocks = sweep(1, 0, 2);
        blocks.rows = {};
        for (int i = 0; i < 10; ++i) blocks.row(i, 1, Kind::block, 1);
        run.conditions = {condition(2, 0, blocks), condition(3, 1, blocks)};
        const auto tables = run.results().tables;
        const ResultTable &scales = table_named(tables, "noise_scales"), &draws = table_named(tables, "draws");
        CHECK(column<std::int32_t>(scales, "layer") == Indices{0, 1, 0, 0});
        CHECK(column<std::int32_t>(scales, "expert") == Indices{-1, -1, 1, 1});
        CHECK(column<std::int64_t>(scales, "rescue_n") == std::vector<std::int64_t>{0, 0, 6, 6});
        CHECK_THAT(attribute(scales, "note"), Contains("Noise scale 2, draw 0: no expert rows at layer 0"));
        CHECK_THAT(attribute(draws, "note"), Contains("Noise scale 3, draw 1: no expert rows at layer 0"));
        CHECK(std::isnan(column(draws, "expert_rescue")[1]));
    }
    SECTION("no expert is selected") {
        run.config.select.recurrence = 5;
        const auto tables = run.results().tables;
        for (const char* name : {"noise_scales", "draws"}) {
            const ResultTable& t = table_named(tables, name);
            CHECK(column(t, "scale").empty());
            CHECK_THAT(attribute(t, "note"), Contains("No expert is selected"));
        }
    }
}
