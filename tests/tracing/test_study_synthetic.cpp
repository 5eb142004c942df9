// Studies of synthetic runs: against naive code, under permutation, with things missing, and how often the 95%
// intervals hold the truth.
#include "synthetic_run.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "result_tables.h"

using namespace moesweep;
using Catch::Matchers::Contains;
using Indices = std::vector<std::int32_t>;

namespace {

/// The clean-active rows and the routing of a run as maps, searched by naive code.
struct Naive {
    const HandRun& run;
    std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, double> rescue;  ///< (case, layer, expert)
    std::map<std::pair<std::int32_t, std::int32_t>, double> block;                  ///< (case, layer)

    explicit Naive(const HandRun& of) : run(of) {
        for (std::size_t i = 0; i < run.rows.size(); ++i) {
            const auto c = run.rows.case_index[i], layer = run.rows.layer[i];
            if (run.rows.kind[i] == Kind::block) block[{c, layer}] = run.rows.rescue[i];
            if (run.rows.clean_active[i]) rescue[{c, layer, run.rows.expert[i]}] = run.rows.rescue[i];
        }
    }

    double mean_rescue(const Indices& cases, std::int32_t layer, std::int32_t expert) const {
        double sum = 0;
        for (auto c : cases) sum += rescue.contains({c, layer, expert}) ? rescue.at({c, layer, expert}) : 0;
        return sum / static_cast<double>(cases.size());
    }

    std::int64_t active(const Indices& cases, std::int32_t layer, std::int32_t expert) const {
        return std::ranges::count_if(cases, [&](auto c) { return rescue.contains({c, layer, expert}); });
    }

    std::int32_t best_layer(const Indices& cases, std::int32_t layers) const {
        std::map<double, std::int32_t> by_mean;
        for (std::int32_t layer = 0; layer < layers; ++layer) {
            double sum = 0;
            for (auto c : cases) sum += block.at({c, layer});
            by_mean[sum] = layer;
        }
        return by_mean.rbegin()->second;
    }

    std::int32_t best_expert(const Indices& cases, std::int32_t layer, std::int64_t threshold) const {
        std::map<double, std::int32_t> by_mean;
        for (std::int32_t e = 0; e < run.experts; ++e) {
            if (active(cases, layer, e) >= threshold) by_mean[mean_rescue(cases, layer, e)] = e;
        }
        return by_mean.empty() ? -1 : by_mean.rbegin()->second;
    }
};

constexpr Shape shape{60, 4, 12, 4};

void for_each_double(const ResultTable& table, const std::function<void(const ResultColumn&, double)>& visit) {
    for (const auto& column : table.columns) {
        if (const auto* values = std::get_if<std::vector<double>>(&column.values)) {
            for (double value : *values) visit(column, value);
        }
    }
}

std::size_t lines(const ResultColumn& column) {
    return std::visit([](const auto& values) { return values.size(); }, column.values) /
           static_cast<std::size_t>(column.width);
}

/// Columns of one length; an empty table says why; no NaN beside n > 0. Not of the tables that state NaN = none per
/// line.
void check_sound(const std::vector<ResultTable>& tables) {
    for (const auto& table : tables) {
        INFO(table.name);
        if (table.name == "summary" || table.name == "validation" || table.name == "candidates") continue;
        REQUIRE_FALSE(table.columns.empty());
        for (const auto& column : table.columns) CHECK(lines(column) == lines(table.columns.front()));
        if (lines(table.columns.front()) == 0 && table.name != "layers" && table.name != "heatmap" &&
            table.name != "main_results") {
            CHECK_THAT(attribute(table, "note"), Contains(" "));
        }
        for (const auto& counted : table.columns) {
            if (counted.name != "n" && !counted.name.ends_with("_n")) continue;
            const auto* n = std::get_if<std::vector<std::int64_t>>(&counted.values);
            if (!n) continue;
            const std::string prefix = counted.name.substr(0, counted.name.size() - 1);
            for (const auto& column : table.columns) {
                const auto* values = std::get_if<std::vector<double>>(&column.values);
                if (!values || !column.name.starts_with(prefix)) continue;
                INFO(column.name);
                for (std::size_t i = 0; i < n->size(); ++i) CHECK((n->at(i) == 0 || !std::isnan(values->at(i))));
            }
        }
    }
}

}  // namespace

TEST_CASE("stability is what naive code selects on each split and threshold") {
    HandRun run = synthetic(shape, {}, 7);
    run.config.stability.thresholds = "10,20,26,31";
    const Naive naive(run);
    const auto tables = run.results().tables;
    const ResultTable& t = table_named(tables, "stability");
    const auto &layer = column<std::int32_t>(t, "layer"), &expert = column<std::int32_t>(t, "expert"),
               &at_main = column<std::int32_t>(t, "expert_at_main_layer");
    REQUIRE(layer.size() == 5 * 4);
    std::size_t line = 0, same = 0;
    for (std::int64_t seed : {0, 1, 2, 3, 4}) {
        const Indices order = split_order(study_cases(run.config, run.cases), seed);
        Indices discovery(order.begin(), order.begin() + 30), validation(order.begin() + 30, order.end());
        for (std::int64_t threshold : {10, 20, 26, 31}) {
            CHECK(column<std::int64_t>(t, "seed")[line] == seed);
            CHECK(column<std::int64_t>(t, "threshold")[line] == threshold);
            CHECK(layer[line] == naive.best_layer(discovery, shape.layers));
            CHECK(expert[line] == naive.best_expert(discovery, layer[line], threshold));
            CHECK(at_main[line] == naive.best_expert(discovery, 1, threshold));
            same += at_main[line] == 5;
            const auto n = column<std::int64_t>(t, "rescue_n")[line];
            CHECK(n == (at_main[line] < 0 ? 0 : 30));
            if (n > 0) {
                const double expected = naive.mean_rescue(validation, 1, at_main[line]);
                CHECK(column(t, "rescue_mean")[line] == Approx(expected).epsilon(1e-12));
            }
            ++line;
        }
    }
    CHECK(attribute(t, "selected_in") == fmt::format("{}/20", same));
    CHECK(same >= 10);
    CHECK_THAT(attribute(t, "note"), Contains("of 20 settings have no recurrent expert at layer 1"));  // threshold 31
    CHECK(column(t, "rescue_mean")[1] ==
          column(table_named(tables, "main_results"), "mean")[1]);  // seed 0, threshold 20
}

TEST_CASE("the best experts of all layers are those that naive code finds") {
    const HandRun run = synthetic(shape, {}, 8);
    const Naive naive(run);
    Indices discovery, validation;
    for (std::int32_t c = 0; c < shape.cases; ++c)
        (run.cases[static_cast<std::size_t>(c)].split == Split::discovery ? discovery : validation).push_back(c);
    HandRun loose = run;
    loose.config.select.recurrence = 5;
    const auto tables = loose.results().tables;
    const ResultTable &best = table_named(tables, "layer_best"), &joint = table_named(tables, "joint");
    CHECK(column<std::int32_t>(best, "layer") == Indices{0, 1, 2, 3});
    for (std::size_t layer = 0; layer < 4; ++layer) {
        const auto e = naive.best_expert(discovery, static_cast<std::int32_t>(layer), 5);
        CHECK(column<std::int32_t>(best, "expert")[layer] == e);
        CHECK(column(best, "rescue_mean")[layer] ==
              Approx(naive.mean_rescue(validation, static_cast<std::int32_t>(layer), e)).epsilon(1e-12));
    }
    CHECK(column<std::int32_t>(joint, "layer").size() == 20);
    CHECK(std::ranges::is_sorted(column(joint, "discovery_rescue"), std::greater<>{}));
    for (std::size_t i = 0; i < 20; ++i) {
        const auto layer = column<std::int32_t>(joint, "layer")[i], e = column<std::int32_t>(joint, "expert")[i];
        CHECK(column<std::int32_t>(joint, "discovery_active")[i] == naive.active(discovery, layer, e));
        CHECK(column(joint, "discovery_rescue")[i] == Approx(naive.mean_rescue(discovery, layer, e)).epsilon(1e-12));
        CHECK(column(joint, "validation_rescue")[i] == Approx(naive.mean_rescue(validation, layer, e)).epsilon(1e-12));
    }
    double greatest = -1;
    for (std::int32_t layer = 0; layer < 4; ++layer) {
        const auto e = naive.best_expert(discovery, layer, 5);
        greatest = std::max(greatest, naive.mean_rescue(discovery, layer, e));
    }
    CHECK(column(joint, "discovery_rescue")[0] == Approx(greatest).epsilon(1e-12));
}

TEST_CASE("a permutation of the cases changes no number but the draws of intervals and p, and what is drawn by place") {
    const HandRun run = synthetic(shape, {}, 9);
    Indices place(shape.cases);  // case c goes there
    std::iota(place.begin(), place.end(), 0);
    std::shuffle(place.begin(), place.end(), std::mt19937(1));
    HandRun moved = run;
    for (std::size_t c = 0; c < run.cases.size(); ++c) moved.cases[static_cast<std::size_t>(place[c])] = run.cases[c];
    for (auto* table : {&moved.rows.case_index, &moved.routing.case_index}) {
        for (auto& c : *table) c = place[static_cast<std::size_t>(c)];
    }
    const auto before = run.results().tables, after = moved.results().tables;
    check_sound(before);
    for (const char* name : {"layers", "candidates", "heatmap", "main_results", "activity", "relation_results",
                             "layer_gap", "ratios", "ranks", "coalitions", "layer_best", "joint"}) {
        const ResultTable &a = table_named(before, name), &b = table_named(after, name);
        for (std::size_t i = 0; i < a.columns.size(); ++i) {
            INFO(name << " " << a.columns[i].name);
            const auto* values = std::get_if<std::vector<double>>(&a.columns[i].values);
            const bool drawn = a.columns[i].name.ends_with("ci_low") || a.columns[i].name.ends_with("ci_high");
            const bool p = a.columns[i].name == "p" || a.columns[i].name.ends_with("_p");
            if (p) continue;
            if (name == std::string("relation_results") && a.columns[i].name == "relation")
                continue;  // ties: first in scan order
            if (!values) {
                CHECK((a.columns[i].values == b.columns[i].values));
                continue;
            }
            auto left = *values, right = std::get<std::vector<double>>(b.columns[i].values);
            if (name == std::string("relation_results")) {
                std::ranges::sort(left);
                std::ranges::sort(right);
            }
            REQUIRE(left.size() == right.size());
            for (std::size_t j = 0; j < left.size(); ++j) {
                if (!std::isnan(left[j])) CHECK(left[j] == Approx(right[j]).margin(drawn ? 0.1 : 1e-12));
            }
        }
    }
}

TEST_CASE("every table stays sound whatever is missing") {
    HandRun run = synthetic(shape, {}, 10);
    SECTION("nothing") {
        run.config.noise.scales = "";
    }
    SECTION("no case") {
        run.cases.clear();
        run.base = {};
        run.rows = {};
        run.routing = {.k = 4};
    }
    SECTION("one case") {
        run = synthetic({1, 2, 12, 4}, {}, 1);
    }
    SECTION("no validation case") {
        for (auto& c : run.cases) c.split = c.split == Split::validation ? Split::none : c.split;
    }
    SECTION("no discovery case") {
        for (auto& c : run.cases) c.split = c.split == Split::discovery ? Split::none : c.split;
    }
    SECTION("no recurrent expert") {
        run.config.select.recurrence = 31;
    }
    SECTION("one expert a token") {
        run = synthetic({60, 4, 12, 1}, {}, 10);
    }
    SECTION("one expert in all") {
        run = synthetic({60, 2, 1, 1}, {1, 0}, 10);
    }
    SECTION("no controls") {
        run.config.controls.random = 0;
    }
    SECTION("no block rows") {
        std::ranges::replace(run.rows.kind, Kind::block, Kind::coalition_union);
    }
    SECTION("no expert rows") {
        std::ranges::replace(run.rows.kind, Kind::expert, Kind::subset);
        std::ranges::fill(run.rows.members, 1);
    }
    SECTION("all rescues 0") {
        std::ranges::fill(run.rows.rescue, 0.0);
    }
    SECTION("no split seeds, one fold, one resample") {
        run.config.stability = {"", "32", 1};
        run.config.stats = {1, 1, 0};
    }
    const auto tables = run.results().tables;
    check_sound(tables);
    for (const auto& table : tables) {
        for_each_double(table, [&](const ResultColumn& column, double value) {
            INFO(table.name << " " << column.name);
            CHECK_FALSE(std::isinf(value));
        });
    }
}

// Run by hand (test_study "[.coverage]", 40 s): layer_rescue 94.0%, expert_rescue 93.8%, spec 93.4%, expert_over_layer
// 94.8%, spec_over_layer 93.0%, clean_topk 95.2%, spec_all 94.8% of the 500 intervals hold the truth; 128 validation
// cases.
TEST_CASE("coverage of the 95% intervals over 500 synthetic studies", "[.coverage]") {
    const Effects effects;
    const double star = effects.active * effects.by_star;
    const std::map<std::string, double> truths{{"layer_rescue", effects.block},
                                               {"expert_rescue", star},
                                               {"spec", star - effects.by_others},
                                               {"expert_over_layer", star / effects.block},
                                               {"spec_over_layer", (star - effects.by_others) / effects.block},
                                               {"clean_topk", effects.block},
                                               {"spec_all", effects.by_star - effects.by_others}};
    std::map<std::string, int> covered;
    constexpr int studies = 500;
    for (int i = 0; i < studies; ++i) {
        HandRun run = synthetic({256, 2, 16, 4}, effects, static_cast<std::uint32_t>(1000 + i));
        run.config.stats = {2000, 1, i};
        run.config.stability = {"", "", 0};
        const auto [study, tables] = run.results();
        REQUIRE(study.selected == Selection{effects.layer, effects.star});
        const auto count = [&](const std::string& name, double low, double high) {
            const double truth = truths.at(name);
            covered[name] += low <= truth && truth <= high;
        };
        for (const char* name : {"layer_rescue", "expert_rescue", "spec"}) {
            const auto& ci = line(study, name).ci;
            count(name, ci.low, ci.high);
        }
        const ResultTable &ratios = table_named(tables, "ratios"), &ranks = table_named(tables, "ranks");
        count("expert_over_layer", column(ratios, "ci_low")[1], column(ratios, "ci_high")[1]);
        count("spec_over_layer", column(ratios, "ci_low")[2], column(ratios, "ci_high")[2]);
        const ResultTable& coalitions = table_named(tables, "coalitions");
        count("clean_topk", column(coalitions, "ci_low")[0], column(coalitions, "ci_high")[0]);
        count("spec_all", column(ranks, "spec_all_ci_low")[0], column(ranks, "spec_all_ci_high")[0]);
    }
    for (const auto& [name, truth] : truths) {
        const double share = covered[name] / static_cast<double>(studies);
        UNSCOPED_INFO(fmt::format("{}: {:.3f}", name, share));
        CHECK(share >= 0.92);
        CHECK(share <= 0.98);
    }
    CHECK(covered.size() == truths.size());
}

// Run by hand to see the time; every table, 5,000 resamples and 10,000 sign flips.
TEST_CASE("a study of Qwen3's size", "[.speed]") {
    HandRun run = synthetic({256, 48, 128, 8}, {44, 69}, 1);
    run.config.stats = {};
    const auto data = run.data();
    const auto start = std::chrono::steady_clock::now();
    const auto results = run_study(run.config, data);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    CHECK(results.study.selected == Selection{44, 69});
    WARN(seconds.count() << " s");
}
