// Studies of runs in which something is missing: it is said in words, and the rest still stands.
#include <algorithm>
#include <cmath>

#include "moesweep/base/error.h"
#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;

TEST_CASE("fewer controls than asked for: as many as there are") {
    auto run = small();
    run.config.controls.random = 4;
    const Study s = run.study();
    CHECK(s.validation.controls == std::vector<std::int8_t>{2, 2, 3});
    CHECK(s.validation.control_expert.size() == 12);
    CHECK(s.validation.control_expert[3] == -1);
    CHECK(s.validation.control_mean[2] == Approx(0.3));
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

TEST_CASE("an expert that is never active in validation has rescue 0 everywhere, and no active mean") {
    HandRun run(4, 2, 2, 2);
    run.config.controls.random = 1;
    for (std::int32_t c = 0; c < 5; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        run.layer(c, 0, 1, c < 2 ? std::vector{0, 1} : std::vector{2, 3},
                  c < 2 ? std::vector{1.0, 0.0} : std::vector{0.5, 0.5});
    }
    const Study s = run.study();
    CHECK(s.selected.expert == 0);
    CHECK(line(s, "expert_rescue").mean == 0);
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK(line(s, "expert_rescue").p == 1);
    CHECK(line(s, "spec").mean == -0.5);
    CHECK(line(s, "expert_rescue_active").n == 0);
    CHECK(std::isnan(line(s, "expert_rescue_active").mean));
}

TEST_CASE("k = 1: where the selected expert is active there is no control and no Spec") {
    HandRun run(3, 1, 2, 2);
    for (std::int32_t c = 0; c < 5; ++c) {
        run.add_case(c < 2 ? Split::discovery : Split::validation, c);
        run.layer(c, 0, 1, {c == 4 ? 2 : 1}, {0.75});
    }
    const Study s = run.study();
    CHECK(s.selected.expert == 1);
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
    const auto [s, tables] = run.results();
    CHECK(line(s, "spec").n == 0);
    CHECK(line(s, "expert_rescue").n == 3);
    CHECK_THAT(s.note, Contains("controls.random = 0"));
    for (const auto& table : tables) {
        for (const auto& column : table.columns) CHECK(column.width > 0);
    }
}

TEST_CASE("what is missing is said, and the rest is still there") {
    auto run = small();
    SECTION("no discovery case") {
        for (auto& c : run.cases) c.split = c.split == Split::discovery ? Split::none : c.split;
        const Study s = run.study();
        CHECK(s.selected.layer == -1);
        CHECK(s.main_results.empty());
        CHECK(s.layers.discovery[0].n == 0);
        CHECK(s.layers.validation[1].mean == Approx(1.0));
        CHECK_THAT(s.note, Contains("Discovery has 0 usable cases of the 4") && Contains("no layer is selected"));
    }
    SECTION("no validation case") {
        for (auto& c : run.cases) c.split = c.split == Split::validation ? Split::none : c.split;
        const Study s = run.study();
        CHECK(s.selected.expert == 1);
        CHECK(line(s, "layer_rescue").n == 0);
        CHECK_THAT(s.note, Contains("No validation case"));
    }
    SECTION("no case at all") {
        const auto [s, tables] = run_study(run.config, {{}, 5, SweepView(0, 5), {}});
        CHECK(s.selected.layer == -1);
        CHECK(s.heatmap.layer.empty());
        CHECK(tables.size() == small().results().tables.size());
    }
    SECTION("no recurrent expert") {
        run.config.select.recurrence = 4;
        const Study s = run.study();
        CHECK(s.selected.layer == 5);
        CHECK(s.selected.expert == -1);
        CHECK(s.selected_by_active_mean == -1);
        CHECK(line(s, "layer_rescue").n == 3);
        CHECK(line(s, "expert_rescue").n == 0);
        CHECK(std::isnan(s.validation.expert_rescue[0]));
        CHECK_THAT(s.note, Contains("No expert of layer 5 is clean-active in at least 4 of the 4 discovery cases"));
    }
    SECTION("no block rows") {
        std::ranges::replace(run.rows.kind, Kind::block, Kind::coalition_union);
        const Study s = run.study();
        CHECK(s.selected.layer == -1);
        CHECK(s.heatmap.mean_rescue[5 + 1] > 0);
        CHECK_THAT(s.note, Contains("no block rows"));
    }
    SECTION("no expert rows") {
        HandRun blocks = run;
        blocks.rows = {};
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            if (run.rows.kind[i] == Kind::block) {
                blocks.row(run.rows.case_index[i], run.rows.layer[i], Kind::block, run.rows.rescue[i]);
            }
        }
        const Study s = blocks.study();
        CHECK(s.selected.layer == 5);
        CHECK(s.selected.expert == -1);
        CHECK(s.candidates.discovery_active[1] == 3);
        CHECK(std::isnan(s.candidates.discovery_rescue[1]));
        CHECK(std::isnan(s.heatmap.mean_rescue[5 + 1]));
        CHECK(s.heatmap.active[5 + 1] == 5);
        CHECK_THAT(s.note, Contains("no expert rows"));
    }
    SECTION("one layer swept, all layers routed") {
        HandRun one = run;
        one.rows = {};
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            if (run.rows.layer[i] == 2) {
                one.row(run.rows.case_index[i], 2, run.rows.kind[i], run.rows.rescue[i], run.rows.expert[i],
                        run.rows.clean_active[i]);
            }
        }
        const Study s = one.study();
        CHECK(s.selected.layer == 2);
        CHECK(s.selected.expert == 0);
        CHECK(s.heatmap.layer == std::vector<std::int32_t>{2});
    }
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
