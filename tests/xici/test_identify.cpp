#include "moesweep/xici/identify.h"

#include <numeric>

#include <catch2/catch.hpp>

#include "support.h"

using namespace moesweep;

namespace {

using Layers = std::vector<std::int32_t>;

XiciConfig::Identify with_layers(const char* layers) {
    XiciConfig::Identify keys;
    keys.layers = LayerList(layers);
    return keys;
}

/// Layers with routed experts behind so many dense ones.
std::vector<bool> model(std::size_t layers, std::size_t dense) {
    std::vector<bool> is_moe(layers, true);
    std::fill_n(is_moe.begin(), dense, false);
    return is_moe;
}

Layers from_to(std::int32_t first, std::int32_t last) {
    Layers layers(static_cast<std::size_t>(last - first + 1));
    std::iota(layers.begin(), layers.end(), first);
    return layers;
}

/// One layer of experts, whose weights are given sequence by sequence.
struct Fixture {
    explicit Fixture(std::int64_t experts) { captures.layers = {0}, captures.experts = experts; }

    void add(std::int32_t question, std::int32_t language, bool right, const std::vector<float>& row) {
        captures.sequences.push_back({question, language, right});
        weights.insert(weights.end(), row.begin(), row.end());
        captures.weights = weights;
    }
    Identification find(XiciConfig::Identify keys) const {
        keys.layers = LayerList("all");
        return identify(captures, identify_rules(keys, {true}, false));
    }

    std::vector<float> weights;
    Captures captures;
};

XiciConfig::Identify no_blacklist() {
    XiciConfig::Identify keys;
    keys.blacklist_top = 0;
    keys.subtract_mean = false;
    return keys;
}

}  // namespace

TEST_CASE("auto leaves an eighth of the layers out at each end, from the first layer with experts on") {
    CHECK(identify_rules({}, model(48, 0), false).layers == from_to(6, 41));  // Qwen3-30B-A3B
    CHECK(identify_rules({}, model(46, 1), true).layers == from_to(6, 40));   // GLM-4.5-Air
    CHECK(identify_rules({}, model(5, 0), false).layers == from_to(0, 4));
    CHECK(identify_rules({}, model(8, 0), false).layers == from_to(1, 6));
    std::vector<bool> every_second(16);
    for (std::size_t layer = 1; layer < 16; layer += 2) every_second[layer] = true;
    CHECK(identify_rules({}, every_second, false).layers == Layers{3, 5, 7, 9, 11, 13});
}

TEST_CASE("layers that are named must be there, and one must have routed experts") {
    CHECK(identify_rules(with_layers("all"), model(4, 1), false).layers == Layers{1, 2, 3});
    CHECK(identify_rules(with_layers("0,2-3"), model(4, 1), false).layers == Layers{2, 3});
    const Failure absent = failure_of([] { identify_rules(with_layers("0-4"), model(4, 1), false); });
    CHECK(absent.code == Exit::usage);
    CHECK(absent.message == "identify.layers: expected layers 0 to 3 of this model, got 4");
    const Failure dense = failure_of([] { identify_rules(with_layers("0"), model(4, 1), false); });
    CHECK(dense.code == Exit::usage);
    CHECK(dense.message == "identify.layers: expected a layer with routed experts, got 0");
    CHECK(failure_of([] { identify_rules({}, model(8, 7), false); }).message ==
          "identify.layers: expected a layer with routed experts, got auto, which leaves none of this model");
}

TEST_CASE("auto takes the paper's tau for each kind of router") {
    CHECK(identify_rules({}, model(48, 0), false).tau == 0.005);
    CHECK(identify_rules({}, model(46, 1), true).tau == 0.01);
    XiciConfig::Identify keys;
    keys.tau = 0.25;
    CHECK(identify_rules(keys, model(46, 1), true).tau == 0.25);
}

TEST_CASE("an expert is blacklisted in more than a share of the sequences, not in just as many") {
    Fixture fixture(200);  // of which two are a sequence's top
    for (std::int32_t i = 0; i < 40; i++) {
        std::vector<float> row(200, 0.001f);
        row[static_cast<std::size_t>(10 + i)] = 0.5f;  // the first in one sequence each
        row[i < 2 ? 3 : i < 5 ? 4 : 5] = 0.4f;         // the second in 2, 3 and 35 of 40
        fixture.add(i, 0, true, row);
    }
    CHECK(fixture.find({}).blacklist == std::vector<ExpertId>{{0, 4}, {0, 5}});
    XiciConfig::Identify keys;
    keys.blacklist_top = 0;
    CHECK(fixture.find(keys).blacklist.empty());
}

TEST_CASE("of equal weights the first experts are top, and a weight of 0 never is") {
    Fixture fixture(400);  // of which four are a sequence's top
    std::vector<float> row(400);
    row[1] = 0.5f;
    row[7] = row[8] = row[9] = row[10] = 0.25f;
    fixture.add(0, 0, true, row);
    CHECK(fixture.find({}).blacklist == std::vector<ExpertId>{{0, 1}, {0, 7}, {0, 8}, {0, 9}});
    Fixture sparse(400);
    row.assign(400, 0);
    row[5] = 1;
    sparse.add(0, 0, true, row);
    CHECK(sparse.find({}).blacklist == std::vector<ExpertId>{{0, 5}});
}

TEST_CASE("at least one expert is a sequence's top, and products are not rounded down") {
    Fixture few(4);
    few.add(0, 0, true, {0.1f, 0.2f, 0.4f, 0.3f});
    CHECK(few.find({}).blacklist == std::vector<ExpertId>{{0, 2}});
    Fixture hundred(100);
    hundred.add(0, 0, true, std::vector<float>(100, 0.5f));
    XiciConfig::Identify keys;
    keys.blacklist_top = 0.29;  // 0.29 x 100 is 28.999999999999996
    CHECK(hundred.find(keys).blacklist.size() == 29);
}

TEST_CASE("questions that are right everywhere or nowhere are listed and not tested") {
    Fixture fixture(2);
    for (std::int32_t language = 0; language < 10; language++) {
        fixture.add(5, language, true, {0.5f, 0.1f});
        fixture.add(3, language, false, {0.5f, 0.1f});
        fixture.add(4, language, language < 6, {language < 6 ? 0.9f : 0.1f, 0.1f});
    }
    const Identification found = fixture.find(no_blacklist());
    REQUIRE(found.questions.size() == 3);
    const QuestionExperts &wrong = found.questions[0], &mixed = found.questions[1], &right = found.questions[2];
    CHECK(wrong.question == 3);
    CHECK(wrong.wrong == 10);
    CHECK(wrong.tested == 0);
    CHECK(right.right == 10);
    CHECK(right.tested == 0);
    CHECK(mixed.right == 6);
    CHECK(mixed.wrong == 4);
    CHECK(mixed.tested == 2);
    CHECK(mixed.significant == 1);
    REQUIRE(mixed.candidates.size() == 1);
    CHECK(mixed.candidates[0].expert == ExpertId{0, 0});
    CHECK(mixed.candidates[0].u == 24);
    CHECK(mixed.candidates[0].difference == static_cast<double>(0.9f) - static_cast<double>(0.1f));
}

TEST_CASE("the language's mean over the dataset is taken off") {
    // Right in languages 0 to 4, in which experts 0 and 1 always weigh more; expert 1 even more where it is right.
    Fixture fixture(2);
    for (std::int32_t question = 0; question < 2; question++)
        for (std::int32_t language = 0; language < 10; language++) {
            const bool right = question == 0 && language < 5;
            const float usual = language < 5 ? 0.5f : 0.1f;
            fixture.add(question, language, right, {usual, usual + (right ? 0.2f : 0.0f)});
        }
    XiciConfig::Identify keys = no_blacklist();
    CHECK(fixture.find(keys).questions[0].candidates.size() == 2);
    keys.subtract_mean = true;
    const auto candidates = fixture.find(keys).questions[0].candidates;
    REQUIRE(candidates.size() == 1);
    CHECK(candidates[0].expert == ExpertId{0, 1});
    CHECK(candidates[0].difference == Approx(0.1));  // what the mean of both questions leaves of 0.2
}

TEST_CASE("p must be below alpha and the difference above tau, not equal to them") {
    Fixture fixture(1);
    for (std::int32_t language = 0; language < 6; language++)
        fixture.add(0, language, language < 3, {language < 3 ? 0.75f : 0.25f});
    XiciConfig::Identify keys = no_blacklist();
    keys.p_value = PValue::exact;  // 1 of 20 choices
    keys.tau = 0.5;
    keys.alpha = 0.06;
    CHECK(fixture.find(keys).questions[0].significant == 1);
    CHECK(fixture.find(keys).questions[0].candidates.empty());
    keys.tau = 0.499;
    CHECK(fixture.find(keys).questions[0].candidates.size() == 1);
    keys.alpha = fixture.find(keys).questions[0].candidates[0].p;
    CHECK(keys.alpha == Approx(0.05));
    CHECK(fixture.find(keys).questions[0].significant == 0);
}

TEST_CASE("a cap keeps the lowest sums of ranks, at a tie the first experts") {
    Fixture fixture(5);
    for (std::int32_t language = 0; language < 12; language++) {
        const bool right = language < 6;
        const auto step = static_cast<float>(language) / 1000;
        std::vector<float> row = {right ? 0.4f : 0.1f, right ? 0.3f : 0.1f, right ? 0.4f : 0.1f, 0.2f - step, 0.5f};
        if (language == 5) row[2] = 0.05f;  // a lower U
        fixture.add(0, language, right, row);
    }
    XiciConfig::Identify keys = no_blacklist();
    const QuestionExperts found = fixture.find(keys).questions[0];
    REQUIRE(found.candidates.size() == 4);
    // U: 36 for experts 0, 1 and 3, 30 for expert 2. Differences: 0 and 2 equal, then 1, then 3.
    const auto check = [&](std::size_t place, std::int32_t expert, double u_rank, double difference_rank) {
        CHECK(found.candidates[place].expert == ExpertId{0, expert});
        CHECK(found.candidates[place].u_rank == u_rank);
        CHECK(found.candidates[place].difference_rank == difference_rank);
    };
    check(0, 0, 2, 1.5);
    check(1, 1, 2, 3);
    check(2, 2, 4, 1.5);
    check(3, 3, 2, 4);
    CHECK(found.within(2) == std::vector<ExpertId>{{0, 0}, {0, 1}});
    CHECK(found.within(25).size() == 4);
    CHECK(found.within(0).empty());
}

TEST_CASE("captures of another shape are our own mistake") {
    Fixture fixture(3);
    fixture.add(0, 0, true, {0.1f, 0.2f});
    CHECK(failure_of([&] { fixture.find({}); }).code == Exit::internal);
}
