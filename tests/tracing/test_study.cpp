// Studies of hand-made runs: what is selected and what is counted.
#include "moesweep/tracing/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;

namespace {

/// Result tables are equal in every bit, NaN included.
bool same_tables(const HandRun& a, const HandRun& b) {
    const auto bits = [](const ResultColumn& column) {
        return std::visit(
            [](const auto& values) {
                std::string text;
                for (const auto& value : values) {
                    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) {
                        text += fmt::format("{:x} ", std::bit_cast<std::uint64_t>(value));
                    } else {
                        text += fmt::format("{} ", value);
                    }
                }
                return text;
            },
            column.values);
    };
    const auto left = a.results().tables, right = b.results().tables;
    for (std::size_t t = 0; t < left.size(); ++t) {
        if (left[t].attributes != right[t].attributes) return false;
        for (std::size_t c = 0; c < left[t].columns.size(); ++c) {
            if (bits(left[t].columns[c]) != bits(right[t].columns[c])) return false;
        }
    }
    return true;
}

}  // namespace

TEST_CASE("a small study by hand") {
    const Study s = small().study();
    CHECK(s.note == "");
    CHECK(s.discovery_cases == 4);
    CHECK(s.validation_cases == 3);

    CHECK(s.layers.layer == std::vector<std::int32_t>{2, 5});
    CHECK(s.layers.discovery[0].mean == 0.5);
    CHECK(s.layers.discovery[1].mean == 1.0);
    CHECK(s.layers.discovery[1].n == 4);
    CHECK(s.layers.discovery[1].positive_fraction == 0.75);
    CHECK(s.layers.validation[1].n == 3);
    CHECK(s.selected.layer == 5);

    CHECK(s.candidates.expert == std::vector<std::int32_t>{0, 1, 2, 3, 4});
    CHECK(s.candidates.discovery_active == std::vector<std::int32_t>{2, 3, 3, 3, 1});
    CHECK(s.candidates.validation_active == std::vector<std::int32_t>{2, 2, 2, 2, 1});
    CHECK(s.candidates.recurrent == std::vector<std::int8_t>{0, 1, 1, 1, 0});
    CHECK(s.candidates.discovery_rescue[1] == Approx((0.8 + 0.4 + 0.6) / 4).epsilon(1e-14));
    CHECK(s.candidates.discovery_rescue_active[1] == Approx((0.8 + 0.4 + 0.6) / 3).epsilon(1e-14));
    CHECK(s.candidates.discovery_rescue[4] == 9.0 / 4);
    CHECK(s.selected.expert == 1);

    CHECK(s.validation.case_index == std::vector<std::int32_t>{5, 6, 7});
    CHECK(s.validation.active == std::vector<std::int8_t>{1, 1, 0});
    CHECK(s.validation.block_rescue == std::vector<double>{1.5, 0.5, 1.0});
    CHECK(s.validation.expert_rescue == std::vector<double>{0.9, 0.5, 0.0});
    CHECK(s.validation.controls == std::vector<std::int8_t>{2, 2, 2});
    CHECK(line(s, "layer_rescue").mean == Approx(1.0));
    CHECK(line(s, "expert_rescue").mean == Approx(1.4 / 3));
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK(line(s, "expert_rescue_active").mean == Approx(0.7));
    CHECK(line(s, "expert_rescue_active").n == 2);
    CHECK_FALSE(has_line(s, "coalition_clean"));
}

TEST_CASE("controls are the clean-active experts that CPython's sample names") {
    // random.Random(1000).sample(range(2), 2) is a permutation of the two others; 1002: three others, sample [2, 1].
    const Study s = small().study();
    const auto control = [&](std::size_t i, std::size_t j) { return s.validation.control_expert[i * 2 + j]; };
    CHECK(std::set{control(0, 0), control(0, 1)} == std::set{2, 3});
    CHECK(std::set{control(1, 0), control(1, 1)} == std::set{0, 4});
    CHECK(control(2, 0) == 3);  // others 0, 2, 3 (expert 1 is not among the routed)
    CHECK(control(2, 1) == 2);
    CHECK(s.validation.control_mean[0] == Approx(0.2));
    CHECK(s.validation.spec[0] == Approx(0.7));
    CHECK(s.validation.control_mean[2] == Approx(0.15));
    CHECK(s.validation.spec[2] == Approx(-0.15));  // inactive: 0 minus the control mean
    CHECK(line(s, "spec").mean == Approx((0.7 + 0.2 - 0.15) / 3));
    CHECK(line(s, "spec_active").mean == Approx(0.45));
    CHECK(line(s, "control_mean").mean == Approx((0.2 + 0.3 + 0.15) / 3));
}

TEST_CASE("a row of an expert that only the noised run routes to counts as 0") {
    auto run = small();
    for (std::int32_t c : {0, 1, 2, 3, 7}) run.row(c, 5, Kind::expert, 100.0, c == 3 || c == 7 ? 1 : 4, false);
    CHECK(same_tables(small(), run));
}

TEST_CASE("the heat map covers both halves, every swept layer and every expert") {
    const Study s = small().study();
    CHECK(s.heatmap.layer == std::vector<std::int32_t>{2, 5});
    CHECK(s.heatmap.experts == 5);
    REQUIRE(s.heatmap.mean_rescue.size() == 10);
    CHECK(s.heatmap.mean_rescue[5 + 1] == Approx((0.8 + 0.4 + 0.6 + 0.9 + 0.5) / 7));
    CHECK(s.heatmap.active[5 + 1] == 5);
    CHECK(s.heatmap.mean_rescue[0] == Approx(0.4 / 7));
    CHECK(s.heatmap.mean_rescue[3] == 0);
    CHECK(s.heatmap.active[3] == 0);
    CHECK(std::accumulate(s.heatmap.active.begin(), s.heatmap.active.end(), 0) == 2 * 7 * 3);
}

TEST_CASE("coalitions at the selected layer stand beside main_results") {
    auto run = small();
    for (std::int32_t c = 5; c < 8; ++c) {
        run.row(c, 5, Kind::coalition_clean, 0.1 * c);
        run.row(c, 5, Kind::coalition_union, 0.2 * c);
        run.row(c, 2, Kind::coalition_union, 77);
    }
    const Study s = run.study();
    CHECK(line(s, "coalition_clean").mean == Approx(0.6));
    CHECK(line(s, "coalition_union").mean == Approx(1.2));
    CHECK(line(s, "coalition_union").n == 3);
}

TEST_CASE("ties go to the lower layer and the lower expert") {
    HandRun run(6, 2, 2, 2);
    for (std::int32_t c = 0; c < 3; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        for (std::int32_t layer : {1, 3, 4}) run.layer(c, layer, layer == 1 ? 0.5 : 0.75, {5, 2}, {0.25, 0.25});
    }
    const Study s = run.study();
    CHECK(s.selected.layer == 3);
    CHECK(s.selected.expert == 2);
}

TEST_CASE("the mean over all discovery cases selects; the active mean's choice stands beside it") {
    HandRun run(4, 2, 4, 2);
    for (std::int32_t c = 0; c < 4; ++c) run.add_case(Split::discovery, c);
    run.add_case(Split::validation, 4);
    run.layer(0, 0, 1, {0, 1}, {0.5, 0.7});
    run.layer(1, 0, 1, {0, 1}, {0.5, 0.7});
    run.layer(2, 0, 1, {0, 2}, {0.5, 0});
    run.layer(3, 0, 1, {0, 3}, {0.5, 0});
    run.layer(4, 0, 1, {0, 1}, {0.5, 0.5});
    const Study s = run.study();
    CHECK(s.selected.expert == 0);  // 0.5 against 0.35
    CHECK(s.selected_by_active_mean == 1);
}

TEST_CASE("the order of the rows does not matter") {
    const auto run = small();
    auto shuffled = run;
    std::vector<std::size_t> order(run.rows.size());
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::mt19937(4));
    shuffled.rows = {};
    for (auto i : order) {
        shuffled.row(run.rows.case_index[i], run.rows.layer[i], run.rows.kind[i], run.rows.rescue[i],
                     run.rows.expert[i], run.rows.clean_active[i]);
    }
    const Study sorted = run.study(), s = shuffled.study();
    CHECK(s.selected.expert == sorted.selected.expert);
    CHECK(s.validation.control_expert == sorted.validation.control_expert);
    CHECK(s.validation.spec == sorted.validation.spec);
    for (std::size_t i = 0; i < s.main_results.size(); ++i)
        CHECK(s.main_results[i].summary.mean == sorted.main_results[i].summary.mean);
}

TEST_CASE("a planted layer and expert are found among many, whatever the order of the cases") {
    constexpr std::int32_t layers = 12, experts = 32, k = 4, cases = 96, planted_layer = 7, planted_expert = 19;
    const auto make = [&](bool reversed) {
        HandRun run(experts, k, cases / 2, cases / 4);
        for (std::int32_t i = 0; i < cases; ++i) {
            const std::int32_t id = reversed ? cases - 1 - i : i;
            std::mt19937 random(static_cast<std::uint32_t>(id));
            std::normal_distribution<double> noise(0, 0.2);
            const auto c = run.add_case(id % 2 ? Split::discovery : Split::validation, id);
            for (std::int32_t layer = 0; layer < layers; ++layer) {
                std::vector<std::int32_t> all(experts), routed;
                std::iota(all.begin(), all.end(), 0);
                std::shuffle(all.begin(), all.end(), random);
                if (layer == planted_layer && id % 4 != 0) routed.push_back(planted_expert);
                for (auto e : all) {
                    if (routed.size() < k && std::ranges::find(routed, e) == routed.end()) routed.push_back(e);
                }
                std::vector<double> rescues;
                for (auto e : routed)
                    rescues.push_back(noise(random) + (layer == planted_layer && e == planted_expert));
                run.layer(c, layer, std::accumulate(rescues.begin(), rescues.end(), 0.0), routed, rescues);
            }
        }
        return run;
    };
    const auto run = make(false);
    const Study s = run.study();
    CHECK(s.selected.layer == planted_layer);
    CHECK(s.selected.expert == planted_expert);
    CHECK(s.note == "");
    CHECK(line(s, "expert_rescue_active").mean == Approx(1).margin(0.12));
    CHECK(line(s, "spec").ci.low > 0);
    CHECK(line(s, "spec").p < 0.01);
    CHECK(s.validation.active.size() == cases / 2);

    const auto reversed = make(true);
    const Study r = reversed.study();
    CHECK(r.selected.expert == s.selected.expert);
    for (std::size_t i = 0; i < s.main_results.size(); ++i) {
        CHECK(r.main_results[i].summary.n == s.main_results[i].summary.n);
        CHECK(r.main_results[i].summary.mean == Approx(s.main_results[i].summary.mean).epsilon(1e-12));
    }
    CHECK(same_tables(run, run));
}

TEST_CASE("result tables are complete and of one length, and state their rules") {
    auto run = small();
    run.config.select.recurrence = 3;
    run.config.controls.seed = 4711;
    const auto [s, tables] = run.results();
    std::vector<std::string> names;
    for (const auto& table : tables) {
        names.push_back(table.name);
        CHECK_FALSE(table.meaning.empty());
        std::set<std::size_t> lengths;
        for (const auto& column : table.columns) {
            CHECK_FALSE(column.meaning.empty());
            const auto size = std::visit([](const auto& values) { return values.size(); }, column.values);
            CHECK(size % static_cast<std::size_t>(column.width) == 0);
            lengths.insert(size / static_cast<std::size_t>(column.width));
        }
        CHECK(lengths.size() == (table.name == "summary" ? 0 : 1));
    }
    CHECK(std::set(names.begin(), names.end()).size() == names.size());

    const auto attribute = [&](const std::string& name) {
        for (const auto& [key, value] : tables[0].attributes) {
            if (key == name) return value;
        }
        return std::string("missing");
    };
    CHECK(attribute("selected_layer") == "5");
    CHECK(attribute("selected_expert") == "1");
    CHECK(attribute("note") == "");
    CHECK_THAT(attribute("rule_expert"), Contains("at least 3 discovery cases"));
    CHECK_THAT(attribute("rule_controls"), Contains("Up to 2 ") && Contains("4711"));
    CHECK_THAT(attribute("rule_interval"), Contains("200 resamples"));

    const auto& means = std::get<std::vector<double>>(tables[5].columns[3].values);
    CHECK(tables[5].columns[3].name == "mean");
    CHECK(means[0] == s.main_results[0].summary.mean);
}
