// Studies of hand-made runs: what is selected, what is counted, and what is said where nothing can be.
#include "moesweep/study.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "moesweep/error.h"

using namespace moesweep;
using Catch::Matchers::Contains;

namespace {

/// A run being written by hand.
struct Run {
    Config config;
    std::vector<Case> cases;
    RoutingTable routing;
    RowTable rows;
    std::int32_t experts;

    Run(std::int32_t experts_, std::int32_t k, std::int64_t discovery, std::int64_t recurrence) : experts(experts_) {
        routing.k = k;
        config.cases.discovery = discovery;
        config.select.recurrence = recurrence;
        config.stats = {200, 200, 0};
    }

    std::int32_t add_case(Split split, std::int64_t case_id = 0) {
        Case c{};
        c.fact.case_id = case_id;
        c.split = split;
        c.status = split == Split::none ? Status::clean_margin_too_small : Status::usable;
        cases.push_back(c);
        return static_cast<std::int32_t>(cases.size()) - 1;
    }

    void route(std::int32_t c, std::int32_t layer, const std::vector<std::int32_t>& clean,
               const std::vector<std::int32_t>& noised) {
        for (auto run : {RunKind::clean, RunKind::noised}) {
            routing.case_index.push_back(c);
            routing.layer.push_back(layer);
            routing.run.push_back(run);
            const auto& routed = run == RunKind::clean ? clean : noised;
            REQUIRE(routed.size() == static_cast<std::size_t>(routing.k));
            routing.expert.insert(routing.expert.end(), routed.begin(), routed.end());
            routing.weight.insert(routing.weight.end(), routed.size(), 0.5f);
            routing.contribution_norm.insert(routing.contribution_norm.end(), routed.size(), 1.0f);
            routing.gap.push_back(1);
        }
    }

    void row(std::int32_t c, std::int32_t layer, Kind kind, double rescue, std::int32_t expert = -1,
             bool clean_active = false) {
        rows.case_index.push_back(c);
        rows.layer.push_back(layer);
        rows.kind.push_back(kind);
        rows.expert.push_back(expert);
        rows.scale.push_back(1);
        rows.patch_norm.push_back(1);
        rows.clean_active.push_back(clean_active);
        rows.noised_active.push_back(kind == Kind::expert && !clean_active);
        rows.delta.push_back(rescue);
        rows.rescue.push_back(rescue);
    }

    /// Block row, routing, and a row for each clean-active expert; `rescues` go with `clean`.
    void layer(std::int32_t c, std::int32_t l, double block, const std::vector<std::int32_t>& clean,
               const std::vector<double>& rescues) {
        route(c, l, clean, clean);
        row(c, l, Kind::block, block);
        for (std::size_t i = 0; i < clean.size(); ++i) row(c, l, Kind::expert, rescues.at(i), clean[i], true);
    }

    Study study() const { return run_study(config, cases, routing, rows, experts); }
};

const Summary& line(const Study& study, const std::string& name) {
    for (const auto& l : study.table1) {
        if (l.name == name) return l.summary;
    }
    FAIL("table1 has no line " << name);
    return study.table1.front().summary;
}

bool has_line(const Study& study, const std::string& name) {
    return std::ranges::any_of(study.table1, [&](const auto& l) { return l.name == name; });
}

/// Result tables are equal in every bit, NaN included.
bool same_tables(const Study& a, const Study& b, const Config& config) {
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
    const auto left = result_tables(a, config), right = result_tables(b, config);
    for (std::size_t t = 0; t < left.size(); ++t) {
        if (left[t].attributes != right[t].attributes) return false;
        for (std::size_t c = 0; c < left[t].columns.size(); ++c) {
            if (bits(left[t].columns[c]) != bits(right[t].columns[c])) return false;
        }
    }
    return true;
}

/// Discovery 4 and validation 3 cases, layers 2 and 5, E = 5, k = 3; layer 5 and expert 1 win.
Run small() {
    Run run(5, 3, 4, 3);
    run.config.controls.random = 2;
    for (std::int32_t c = 0; c < 4; ++c) {
        run.add_case(Split::discovery, c);
        run.layer(c, 2, 0.5, {0, 1, 2}, {0.1, 0.1, 0.1});
    }
    run.layer(0, 5, 1.0, {1, 0, 2}, {0.8, 0.1, 0.0});
    run.layer(1, 5, 2.0, {1, 2, 3}, {0.4, 0.2, 0.1});
    run.layer(2, 5, 0.0, {3, 1, 0}, {0.2, 0.6, -0.2});
    run.layer(3, 5, 1.0, {4, 2, 3}, {9.0, 0.2, 0.3});  // expert 4: large, but once
    run.add_case(Split::none, 99);                     // an unusable record in between
    for (std::int32_t c = 5; c < 8; ++c) {
        run.add_case(Split::validation, c - 5);
        run.layer(c, 2, 0.25, {0, 1, 2}, {0, 0, 0});
    }
    run.layer(5, 5, 1.5, {1, 2, 3}, {0.9, 0.1, 0.3});
    run.layer(6, 5, 0.5, {0, 1, 4}, {0.2, 0.5, 0.4});
    run.layer(7, 5, 1.0, {0, 2, 3}, {0.6, 0.0, 0.3});  // expert 1 inactive
    return run;
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
    CHECK(s.selected_layer == 5);

    CHECK(s.candidates.expert == std::vector<std::int32_t>{0, 1, 2, 3, 4});
    CHECK(s.candidates.discovery_active == std::vector<std::int32_t>{2, 3, 3, 3, 1});
    CHECK(s.candidates.validation_active == std::vector<std::int32_t>{2, 2, 2, 2, 1});
    CHECK(s.candidates.recurrent == std::vector<std::int8_t>{0, 1, 1, 1, 0});
    CHECK(s.candidates.discovery_rescue[1] == Approx((0.8 + 0.4 + 0.6) / 4).epsilon(1e-14));
    CHECK(s.candidates.discovery_rescue_active[1] == Approx((0.8 + 0.4 + 0.6) / 3).epsilon(1e-14));
    CHECK(s.candidates.discovery_rescue[4] == 9.0 / 4);
    CHECK(s.selected_expert == 1);

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

TEST_CASE("fewer controls than asked for: as many as there are") {
    auto run = small();
    run.config.controls.random = 4;
    const Study s = run.study();
    CHECK(s.validation.controls == std::vector<std::int8_t>{2, 2, 3});
    CHECK(s.validation.control_expert.size() == 12);
    CHECK(s.validation.control_expert[3] == -1);
    CHECK(s.validation.control_mean[2] == Approx(0.3));
}

TEST_CASE("a row of an expert that only the noised run routes to counts as 0") {
    auto run = small();
    for (std::int32_t c : {0, 1, 2, 3, 7}) run.row(c, 5, Kind::expert, 100.0, c == 3 || c == 7 ? 1 : 4, false);
    const Study before = small().study(), after = run.study();
    CHECK(same_tables(before, after, run.config));
}

TEST_CASE("a clean-active expert without a row has rescue 0") {
    auto run = small();
    const Study before = run.study();
    for (std::size_t i = 0; i < run.rows.size(); ++i) {
        if (run.rows.case_index[i] == 5 && run.rows.expert[i] == 1) run.rows.layer[i] = 2;  // lost to another layer
    }
    const Study after = run.study();
    CHECK(before.validation.expert_rescue[0] == 0.9);
    CHECK(after.validation.expert_rescue[0] == 0);
    CHECK(after.validation.active[0] == 1);
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

TEST_CASE("coalitions at the selected layer stand beside table 1") {
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
    Run run(6, 2, 2, 2);
    for (std::int32_t c = 0; c < 3; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        for (std::int32_t layer : {1, 3, 4}) run.layer(c, layer, layer == 1 ? 0.5 : 0.75, {5, 2}, {0.25, 0.25});
    }
    const Study s = run.study();
    CHECK(s.selected_layer == 3);
    CHECK(s.selected_expert == 2);
}

TEST_CASE("the mean over all discovery cases selects; the active mean's choice stands beside it") {
    Run run(4, 2, 4, 2);
    for (std::int32_t c = 0; c < 4; ++c) run.add_case(Split::discovery, c);
    run.add_case(Split::validation, 4);
    run.layer(0, 0, 1, {0, 1}, {0.5, 0.7});
    run.layer(1, 0, 1, {0, 1}, {0.5, 0.7});
    run.layer(2, 0, 1, {0, 2}, {0.5, 0});
    run.layer(3, 0, 1, {0, 3}, {0.5, 0});
    run.layer(4, 0, 1, {0, 1}, {0.5, 0.5});
    const Study s = run.study();
    CHECK(s.selected_expert == 0);  // 0.5 against 0.35
    CHECK(s.selected_by_active_mean == 1);
}

TEST_CASE("an expert that is never active in validation has rescue 0 everywhere, and no active mean") {
    Run run(4, 2, 2, 2);
    run.config.controls.random = 1;
    for (std::int32_t c = 0; c < 5; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        run.layer(c, 0, 1, c < 2 ? std::vector{0, 1} : std::vector{2, 3},
                  c < 2 ? std::vector{1.0, 0.0} : std::vector{0.5, 0.5});
    }
    const Study s = run.study();
    CHECK(s.selected_expert == 0);
    CHECK(line(s, "expert_rescue").mean == 0);
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK(line(s, "expert_rescue").p == 1);
    CHECK(line(s, "spec").mean == -0.5);
    CHECK(line(s, "expert_rescue_active").n == 0);
    CHECK(std::isnan(line(s, "expert_rescue_active").mean));
}

TEST_CASE("k = 1: where the selected expert is active there is no control and no Spec") {
    Run run(3, 1, 2, 2);
    for (std::int32_t c = 0; c < 5; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        run.layer(c, 0, 1, {c == 4 ? 2 : 1}, {0.75});
    }
    const Study s = run.study();
    CHECK(s.selected_expert == 1);
    CHECK(s.validation.controls == std::vector<std::int8_t>{0, 0, 1});
    CHECK(std::isnan(s.validation.spec[0]));
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK(line(s, "spec").n == 1);
    CHECK(line(s, "spec").mean == -0.75);
    CHECK(line(s, "spec_active").n == 0);
    CHECK_THAT(s.note, Contains("2 of 3 validation cases have no other clean-active expert"));
}

TEST_CASE("no controls asked for: no Spec, in words") {
    auto run = small();
    run.config.controls.random = 0;
    const Study s = run.study();
    CHECK(line(s, "spec").n == 0);
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK_THAT(s.note, Contains("controls.random = 0"));
    for (const auto& table : result_tables(s, run.config)) {
        for (const auto& column : table.columns) CHECK(column.width > 0);
    }
}

TEST_CASE("what is missing is said, and the rest is still there") {
    auto run = small();
    SECTION("no discovery case") {
        for (auto& c : run.cases) c.split = c.split == Split::discovery ? Split::none : c.split;
        const Study s = run.study();
        CHECK(s.selected_layer == -1);
        CHECK(s.table1.empty());
        CHECK(s.layers.discovery[0].n == 0);
        CHECK(s.layers.validation[1].mean == Approx(1.0));
        CHECK_THAT(s.note, Contains("Discovery has 0 usable cases of the 4") && Contains("no layer is selected"));
    }
    SECTION("no validation case") {
        for (auto& c : run.cases) c.split = c.split == Split::validation ? Split::none : c.split;
        const Study s = run.study();
        CHECK(s.selected_expert == 1);
        CHECK(line(s, "layer_rescue").n == 0);
        CHECK_THAT(s.note, Contains("No validation case"));
    }
    SECTION("no case at all") {
        const Study s = run_study(run.config, {}, {}, {}, 5);
        CHECK(s.selected_layer == -1);
        CHECK(s.heatmap.layer.empty());
        CHECK(result_tables(s, run.config).size() == 6);
    }
    SECTION("no recurrent expert") {
        run.config.select.recurrence = 4;
        const Study s = run.study();
        CHECK(s.selected_layer == 5);
        CHECK(s.selected_expert == -1);
        CHECK(s.selected_by_active_mean == -1);
        CHECK(line(s, "layer_rescue").n == 3);
        CHECK(line(s, "expert_rescue").n == 0);
        CHECK(std::isnan(s.validation.expert_rescue[0]));
        CHECK_THAT(s.note, Contains("No expert of layer 5 is clean-active in at least 4 of the 4 discovery cases"));
    }
    SECTION("no block rows") {
        std::ranges::replace(run.rows.kind, Kind::block, Kind::coalition_union);
        const Study s = run.study();
        CHECK(s.selected_layer == -1);
        CHECK(s.heatmap.mean_rescue[5 + 1] > 0);
        CHECK_THAT(s.note, Contains("no block rows"));
    }
    SECTION("no expert rows") {
        Run blocks = run;
        blocks.rows = {};
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            if (run.rows.kind[i] == Kind::block) {
                blocks.row(run.rows.case_index[i], run.rows.layer[i], Kind::block, run.rows.rescue[i]);
            }
        }
        const Study s = blocks.study();
        CHECK(s.selected_layer == 5);
        CHECK(s.selected_expert == -1);
        CHECK(s.candidates.discovery_active[1] == 3);
        CHECK(std::isnan(s.candidates.discovery_rescue[1]));
        CHECK(std::isnan(s.heatmap.mean_rescue[5 + 1]));
        CHECK(s.heatmap.active[5 + 1] == 5);
        CHECK_THAT(s.note, Contains("no expert rows"));
    }
    SECTION("one layer swept, all layers routed") {
        Run one = run;
        one.rows = {};
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            if (run.rows.layer[i] == 2) {
                one.row(run.rows.case_index[i], 2, run.rows.kind[i], run.rows.rescue[i], run.rows.expert[i],
                        run.rows.clean_active[i]);
            }
        }
        const Study s = one.study();
        CHECK(s.selected_layer == 2);
        CHECK(s.selected_expert == 0);
        CHECK(s.heatmap.layer == std::vector<std::int32_t>{2});
    }
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
    CHECK(s.selected_expert == sorted.selected_expert);
    CHECK(s.validation.control_expert == sorted.validation.control_expert);
    CHECK(s.validation.spec == sorted.validation.spec);
    for (std::size_t i = 0; i < s.table1.size(); ++i) CHECK(s.table1[i].summary.mean == sorted.table1[i].summary.mean);
}

TEST_CASE("a planted layer and expert are found among many, whatever the order of the cases") {
    constexpr std::int32_t layers = 12, experts = 32, k = 4, cases = 96, planted_layer = 7, planted_expert = 19;
    const auto make = [&](bool reversed) {
        Run run(experts, k, cases / 2, cases / 4);
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
    CHECK(s.selected_layer == planted_layer);
    CHECK(s.selected_expert == planted_expert);
    CHECK(s.note == "");
    CHECK(line(s, "expert_rescue_active").mean == Approx(1).margin(0.12));
    CHECK(line(s, "spec").ci.low > 0);
    CHECK(line(s, "spec").p < 0.01);
    CHECK(s.validation.active.size() == cases / 2);

    const auto reversed = make(true);
    const Study r = reversed.study();
    CHECK(r.selected_expert == s.selected_expert);
    for (std::size_t i = 0; i < s.table1.size(); ++i) {
        CHECK(r.table1[i].summary.n == s.table1[i].summary.n);
        CHECK(r.table1[i].summary.mean == Approx(s.table1[i].summary.mean).epsilon(1e-12));
    }
    CHECK(same_tables(s, run.study(), run.config));
}

TEST_CASE("a damaged table is refused by name") {
    auto run = small();
    const auto message = [&] {
        try {
            run.study();
        } catch (const Error& error) {
            CHECK(error.code() == Exit::data);
            return std::string(error.what());
        }
        return std::string("no error");
    };
    SECTION("rescue") {
        run.rows.rescue[3] = std::nan("");
        CHECK(message() == "rows: rescue: line 3 (case 0, layer 2) has nan, expected a finite number");
    }
    SECTION("case") {
        run.rows.case_index[2] = 8;
        CHECK(message() == "rows: case: line 2 has 8, expected 0 to 7");
    }
    SECTION("expert") {
        run.rows.expert[1] = 5;
        CHECK(message() == "rows: expert: line 1 has 5, expected 0 to 4");
    }
    SECTION("routed expert") {
        run.routing.expert[4] = -1;
        CHECK(message() == "routing: expert: line 1 has -1, expected 0 to 4");
    }
    SECTION("case of a routing line") {
        run.routing.case_index[1] = 8;
        CHECK(message() == "routing: case: line 1 has 8, expected 0 to 7");
    }
    SECTION("missing routing") {
        std::ranges::fill(run.routing.run, RunKind::noised);
        CHECK(message() == "routing: no line for the clean run of case 0 at layer 5");
    }
}

TEST_CASE("result tables are complete and of one length, and state their rules") {
    auto run = small();
    run.config.select.recurrence = 3;
    run.config.controls.seed = 4711;
    const Study s = run.study();
    const auto tables = result_tables(s, run.config);
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
    CHECK(names == std::vector<std::string>{"summary", "layers", "candidates", "heatmap", "validation", "table1"});

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
    CHECK_THAT(attribute("rule_controls"), Contains("up to 2 ") && Contains("4711"));
    CHECK_THAT(attribute("rule_interval"), Contains("200 resamples"));

    const auto& means = std::get<std::vector<double>>(tables[5].columns[3].values);
    CHECK(tables[5].columns[3].name == "mean");
    CHECK(means[0] == s.table1[0].summary.mean);
}
