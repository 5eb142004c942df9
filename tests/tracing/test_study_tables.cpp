// The tables of the main study, closed form: small runs in which every number can be worked out by hand.
#include <fmt/format.h>

#include <map>

#include "result_tables.h"
#include "study_run.h"

using namespace moesweep;
using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;
using Counts = std::vector<std::int64_t>;
using Indices = std::vector<std::int32_t>;

namespace {

ResultTable table_of(const HandRun& run, const std::string& name) {
    return table_named(run.results().tables, name);
}

/// Layer 0, k = 3, expert 1 selected. Validation cases (2-6) with the rescues of experts 1, 2, 3.
HandRun ranked(const std::vector<std::vector<double>>& rescues) {
    HandRun run(5, 3, 2, 2);
    run.config.controls.random = 1;
    for (std::int32_t c = 0; c < 2; ++c) {
        run.add_case(Split::discovery, c);
        run.layer(c, 0, 1, {1, 2, 3}, {1, 0, 0});
    }
    for (const auto& of_case : rescues) {
        const auto c = run.add_case(Split::validation, std::ssize(run.cases));
        run.layer(c, 0, 1, {1, 2, 3}, of_case);
    }
    return run;
}

/// Twelve cases of one layer, alternately discovery and validation, k = 2, with these relations. Experts 1 and 2 are
/// active everywhere; the rescue by expert 1 is 1, by expert 2 it is 2 where the relation is "C" and 0 elsewhere.
HandRun related(const Texts& relations) {
    HandRun run(4, 2, 6, 2);
    run.config.controls.random = 1;
    run.config.stability.folds = 3;
    for (std::size_t i = 0; i < relations.size(); ++i) {
        const auto c = run.add_case(i % 2 ? Split::validation : Split::discovery, static_cast<std::int64_t>(i));
        run.cases.back().fact.relation = relations[i];
        run.layer(c, 0, 1, {1, 2}, {1, relations[i] == "C" ? 2.5 : 0});
    }
    return run;
}

const Texts twelve{"B", "A", "A", "B", "C", "C", "A", "B", "D", "C", "C", "A"};  // A 4, C 4, B 3, D 1

}  // namespace

TEST_CASE("tables say where the paper prints their like: each of its sixteen tables once") {
    std::multimap<std::string, std::string> places;
    for (const auto& table : small().results().tables) {
        if (const auto paper = attribute(table, "paper"); !paper.empty()) places.emplace(paper, table.name);
    }
    CHECK(places.size() == 17);
    for (int n = 1; n <= 16; ++n) CHECK(places.count(fmt::format("arXiv 2606.03780, Table {}", n)) == 1);
    CHECK(places.find("arXiv 2606.03780, Table 1")->second == "main_results");
    CHECK(places.find("arXiv 2606.03780, Table 16")->second == "coalitions");
    CHECK(places.find("arXiv 2606.03780, Appendix D")->second == "stability");
}

TEST_CASE("protocol states the configuration it ran under") {
    HandRun run = small();
    run.config.noise.seed = 23;
    run.config.scale_up.limit = 77;
    const auto t = table_of(run, "protocol");
    const auto &items = column<std::string>(t, "item"), &settings = column<std::string>(t, "setting");
    const auto setting = [&](const std::string& item) {
        const auto found = std::ranges::find(items, item);
        return found == items.end() ? "no such item" : settings[static_cast<std::size_t>(found - items.begin())];
    };
    CHECK_THAT(setting("Cases"), Contains("4 discovery and 3 validation"));
    CHECK_THAT(setting("Filtering"), Contains("clean margin >= 1, noise drop >= 0.5"));
    CHECK_THAT(setting("Subject noise"), Contains("seed 23 + case id, 3 standard"));
    CHECK_THAT(setting("Expert selection"), Contains("at least 3 discovery cases"));
    CHECK_THAT(setting("Intervals"), Contains("200 resamples"));
    CHECK_THAT(setting("Relaxed study"), Contains("77 cases"));
    CHECK_THAT(setting("Further noise"), Contains("scales: none"));
}

TEST_CASE("activity counts active cases and zeros, and which zeros are structural") {
    HandRun run = small();
    for (std::size_t i = 0; i < run.rows.size(); ++i) {
        const bool of_case_6 = run.rows.case_index[i] == 6 && run.rows.layer[i] == 5;
        if (of_case_6 && run.rows.kind[i] == Kind::expert) run.rows.rescue[i] = 0;  // all alike: Spec is 0 too
    }
    const auto t = table_of(run, "activity");
    CHECK(column<std::string>(t, "half") == Texts{"discovery", "validation"});
    CHECK(column<std::int64_t>(t, "cases") == Counts{4, 3});
    CHECK(column<std::int64_t>(t, "active") == Counts{3, 2});
    CHECK(column<std::int64_t>(t, "zero_rescue") == Counts{1, 2});
    CHECK(column<std::int64_t>(t, "zero_spec") == Counts{0, 1});
    CHECK(column<std::int64_t>(t, "structural") == Counts{1, 1});
}

TEST_CASE("relations counts the cases of both halves, ties in scan order") {
    HandRun run = related(twelve);
    run.add_case(Split::none, 99);  // of no half
    run.cases.back().fact.relation = twelve[1];
    const auto t = table_of(run, "relations");
    CHECK(column<std::string>(t, "relation") == Texts{"A", "C", "B", "D"});
    CHECK(column<std::int64_t>(t, "n") == Counts{4, 4, 3, 1});
}

TEST_CASE("relation_results gives each relation of the validation cases its own means") {
    const auto t = table_of(related(twelve), "relation_results");  // validation: A B C B C A
    CHECK(column<std::string>(t, "relation") == Texts{"A", "B", "C"});
    CHECK(column<std::int64_t>(t, "n") == Counts{2, 2, 2});
    check_values(column(t, "expert_rescue"), {1, 1, 1});
    check_values(column(t, "spec"), {1, 1, -1.5});
    check_values(column(t, "positive_fraction"), {1, 1, 0});

    Texts many;
    for (int i = 0; i < 40; ++i) many.push_back(fmt::format("R{}", i / 2 % 13));
    const auto ten = table_of(related(many), "relation_results");
    CHECK(column<std::string>(ten, "relation") == Texts{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9"});
}

TEST_CASE("layer_gap: the two best layers of validation") {
    const auto t = table_of(small(), "layer_gap");
    CHECK(column<std::int32_t>(t, "top_layer") == Indices{5});
    CHECK(column<std::int32_t>(t, "next_layer") == Indices{2});
    check_values(column(t, "top"), {1});
    check_values(column(t, "next"), {0.25});
    check_values(column(t, "gap"), {0.75});
}

TEST_CASE("ratios are of means; identical columns have the ratio 1 in every resample") {
    const auto t = table_of(small(), "ratios");
    CHECK(column<std::string>(t, "quantity") == Texts{"layer_rescue", "expert_over_layer", "spec_over_layer"});
    CHECK(column<std::int64_t>(t, "n") == Counts{3, 3, 3});
    check_values(column(t, "value"), {1, 1.4 / 3, 0.75 / 3});

    HandRun same(5, 3, 4, 3);
    for (std::int32_t c = 0; c < 12; ++c) {
        same.add_case(c < 4 ? Split::discovery : Split::validation, c);
        same.layer(c, 0, 1 + 0.1 * c, {1, 2, 3}, {1 + 0.1 * c, 0, 0});
    }
    const auto ones = table_of(same, "ratios");
    for (const char* name : {"value", "ci_low", "ci_high"}) {
        CHECK(column(ones, name)[1] == 1);
        CHECK(column(ones, name)[2] == 1);
    }
    CHECK(attribute(ones, "note") == "");
    CHECK(column(ones, "ci_low")[0] < column(ones, "value")[0]);
}

TEST_CASE("ratios has no ratio to a layer whose mean is 0") {
    HandRun run = ranked({{1, 0, 0}, {2, 0, 0}});
    run.rows.rescue[run.rows.size() - 8] = 1;
    run.rows.rescue[run.rows.size() - 4] = -1;
    const auto t = table_of(run, "ratios");
    CHECK(column<std::string>(t, "quantity") == Texts{"layer_rescue"});
    CHECK(column(t, "value")[0] == 0);
    CHECK_THAT(attribute(t, "note"), Contains("expert_over_layer") && Contains("mean is 0") && Contains("contains 0"));
}

TEST_CASE("split_cases lists the halves in the order of the split") {
    HandRun run(3, 2, 3, 1);
    for (std::int32_t c = 0; c < 6; ++c) {
        run.layer(run.add_case(Split::none, 100 + c), 0, 1, {0, 1}, {1, 0});
        run.cases.back().status = c == 2 ? Status::noise_drop_too_small : Status::usable;
    }
    split_cases(run.config, run.cases);
    const auto t = table_of(run, "split_cases");
    // random.Random(0).shuffle([100, 101, 103, 104, 105])
    CHECK(column<std::int64_t>(t, "case_id") == Counts{103, 101, 100, 105, 104});
    CHECK(column<std::string>(t, "split") == Texts{"discovery", "discovery", "discovery", "validation", "validation"});
    CHECK(column<std::int32_t>(t, "position") == Indices{0, 1, 2, 3, 4});
}

TEST_CASE("ranks: ranks share the better place, percentiles run from the worst to the best") {
    // ranks 1, 2, 3, and a tie for the first place
    const auto t = table_of(ranked({{3, 1, 2}, {1, 0, 2}, {0, 1, 2}, {2, 2, 1}}), "ranks");
    CHECK(column<std::int64_t>(t, "ranked") == Counts{4});
    CHECK(column<std::int64_t>(t, "top1") == Counts{2});
    CHECK(column<std::int64_t>(t, "top2") == Counts{3});
    check_values(column(t, "mean_rank"), {7 / 4.0});
    check_values(column(t, "mean_percentile"), {(1 + 0.5 + 0 + 1) / 4});
    check_values(column(t, "spec_all_mean"), {(1.5 + 0 - 1.5 + 0.5) / 4});
    CHECK(column<std::int64_t>(t, "spec_all_n") == Counts{4});

    const auto inactive = table_of(small(), "ranks");
    CHECK(column<std::int64_t>(inactive, "ranked") == Counts{2});  // not where the expert is inactive
    check_values(column(inactive, "spec_all_mean"), {(0.7 + 0.2) / 2});
}

TEST_CASE("coalitions stand beside the block and the expert") {
    HandRun run = small();
    for (std::int32_t c = 5; c < 8; ++c) {
        run.row(c, 5, Kind::coalition_clean, 0.1 * c);
        run.row(c, 5, Kind::coalition_union, 0.2 * c);
    }
    auto t = table_of(run, "coalitions");
    CHECK(column<std::string>(t, "quantity") == Texts{"clean_topk", "routing_union", "block", "expert"});
    CHECK(column<std::int64_t>(t, "n") == Counts{3, 3, 3, 3});
    check_values(column(t, "mean"), {0.6, 1.2, 1, 1.4 / 3});

    t = table_of(small(), "coalitions");
    CHECK(column<std::string>(t, "quantity") == Texts{"block", "expert"});
    CHECK_THAT(attribute(t, "note"), Contains("clean top-k") && Contains("routing-union"));
}

TEST_CASE("relation folds: each fold is tested with what the others select") {
    // Folds by table 4's order, round robin: A and D, C, B. Without C expert 2 has rescue 0; with it, 2.5 x 4 of n.
    const auto t = table_of(related(twelve), "relation_folds");
    CHECK(attribute(t, "note") == "");
    CHECK(column<std::int32_t>(t, "fold") == Indices{0, 1, 2, -1});
    CHECK(column<std::string>(t, "relations") == Texts{"A,D", "C", "B", "all"});
    CHECK(column<std::int64_t>(t, "held_out") == Counts{5, 4, 3, 12});
    CHECK(column<std::int64_t>(t, "active") == Counts{5, 4, 3, 12});
    CHECK(column<std::int32_t>(t, "expert") == Indices{2, 1, 2, -1});  // 10 / 7, 0 and 10 / 9 against 1
    check_values(column(t, "rescue_mean"), {0, 1, 0, 4 / 12.0});
    check_values(column(t, "spec_mean"), {-1, -1.5, -1, (-5 - 6 - 3) / 12.0});

    HandRun agreed = related(twelve);
    for (std::size_t i = 0; i < agreed.rows.size(); ++i) agreed.rows.rescue[i] *= agreed.rows.expert[i] != 2;
    CHECK(column<std::int32_t>(table_of(agreed, "relation_folds"), "expert") == Indices{1, 1, 1, 1});
}

TEST_CASE("a relation fold without cases says so, and is not pooled") {
    HandRun run = related({"A", "A", "B", "A", "B", "A"});
    const auto t = table_of(run, "relation_folds");
    CHECK(column<std::int64_t>(t, "held_out") == Counts{4, 2, 0, 6});
    CHECK(column<std::int64_t>(t, "rescue_n") == Counts{4, 2, 0, 6});
    CHECK(column<std::int32_t>(t, "expert") == Indices{1, 1, 1, 1});
    CHECK_THAT(attribute(t, "note"), Contains("Fold 2 has no relation and no case."));

    run.config.stability.folds = 1;
    const auto none = table_of(run, "relation_folds");
    CHECK(column<std::int32_t>(none, "fold").empty());
    CHECK_THAT(attribute(none, "note"), Contains("nothing is held out"));
}

TEST_CASE("every layer's best expert, and the joint search over all of them") {
    const auto run = small();  // layer 2: experts 0, 1, 2 with 0.1 in every discovery case; layer 5: expert 1
    const auto best = table_of(run, "layer_best");
    CHECK(attribute(best, "note") == "");
    CHECK(column<std::int32_t>(best, "layer") == Indices{2, 5});
    CHECK(column<std::int32_t>(best, "expert") == Indices{0, 1});
    CHECK(column<std::int32_t>(best, "discovery_active") == Indices{4, 3});
    check_values(column(best, "discovery_rescue"), {0.1, 1.8 / 4});
    check_values(column(best, "rescue_mean"), {0, 1.4 / 3});
    CHECK(column<std::int64_t>(best, "spec_n") == Counts{3, 3});

    const auto joint = table_of(run, "joint");
    CHECK(column<std::int32_t>(joint, "layer") == Indices{5, 5, 2, 2, 2, 5});  // ties: lower layer, lower expert
    CHECK(column<std::int32_t>(joint, "expert") == Indices{1, 3, 0, 1, 2, 2});
    check_values(column(joint, "discovery_rescue"), {0.45, 0.6 / 4, 0.1, 0.1, 0.1, 0.4 / 4});
    check_values(column(joint, "validation_rescue"), {1.4 / 3, 0.6 / 3, 0, 0, 0, 0.1 / 3});

    HandRun strict = small();
    strict.config.select.recurrence = 4;
    const auto one = table_of(strict, "layer_best");
    CHECK(column<std::int32_t>(one, "layer") == Indices{2});
    CHECK_THAT(attribute(one, "note"), Contains("at least 4 of the 4 discovery cases at layers 5"));
}
