// Greedy answers with a cache against naive forwards that begin anew for every token.
#include <ATen/ATen.h>

#include <cmath>

#include "catch_beside_torch.h"
#include "decode_fixture.h"
#include "naive.h"

using namespace moesweep;

namespace {

/// What the naive model makes of the first `fed` tokens.
naive::Forward forward_of(const TinyModel& model, const std::vector<std::int32_t>& tokens, std::size_t fed) {
    std::vector<naive::Vector> embeddings;
    for (std::size_t t = 0; t < fed; ++t) embeddings.push_back(naive::embedding(model, tokens[t]));
    return naive::forward(model, embeddings);
}

/// Compares the sums of gate weights over the forwards of some tokens.
void check_weights(const ModelConfig& config, const GateWeights& got, const std::vector<naive::Forward>& tokens) {
    REQUIRE(got.tokens == static_cast<std::int64_t>(tokens.size()));
    std::vector<double> expected(static_cast<std::size_t>(config.num_hidden_layers * config.router.num_experts));
    for (const naive::Forward& token : tokens)
        for (const auto& [layer, block] : token.blocks)
            for (const auto& [expert, weight] : block.routed)
                expected[static_cast<std::size_t>(layer * config.router.num_experts + expert)] += weight;
    REQUIRE(got.sum.size() == expected.size());
    double furthest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) furthest = std::max(furthest, std::abs(got.sum[i] - expected[i]));
    CHECK(furthest <= 1e-10);
}

}  // namespace

TEST_CASE("each token is the naive model's first choice, with its gap and its routing", "[decode]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const DecodeFixture f(tiny_config(family), Precision::fp64);
    const std::vector<Answer> answers = f.run(f.all_at_once());
    REQUIRE(answers.size() == f.prompts.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
        INFO(family << ", prompt " << i);
        const Answer& answer = answers[i];
        REQUIRE((answer.tokens.size() == 5 && answer.gaps.size() == 5 && !answer.stopped && answer.disobeyed == 0));
        std::vector<std::int32_t> tokens = f.prompts[i].tokens;
        const std::size_t prompt = tokens.size();
        tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
        std::vector<naive::Forward> of_prompt, of_answer;
        for (std::size_t fed = 1; fed < tokens.size(); ++fed)
            (fed <= prompt ? of_prompt : of_answer).push_back(forward_of(f.model, tokens, fed));
        check_weights(f.model.config, answer.of_prompt, of_prompt);
        check_weights(f.model.config, answer.of_answer, of_answer);
        for (std::size_t t = 0; t < 5; ++t) {
            const naive::Forward& at = t == 0 ? of_prompt.back() : of_answer[t - 1];
            double gap = 1e9;
            for (int other = 0; other < f.model.config.vocab_size; ++other)
                if (other != answer.tokens[t]) gap = std::min(gap, naive::delta(f.model, at, answer.tokens[t], other));
            CHECK(std::abs(answer.gaps[t] - gap) <= 1e-10);
        }
    }
}

TEST_CASE("an answer ends with its stop token, which is not fed", "[decode]") {
    const DecodeFixture f(tiny_config("qwen3_moe"), Precision::fp64);
    const std::vector<Answer> whole = f.run(f.all_at_once());
    DecodePlan plan = f.all_at_once();
    plan.stop_tokens = {whole[0].tokens[0], whole[1].tokens[2]};  // the first answer ends at once
    const std::vector<Answer> stopped = f.run(plan);
    CHECK((stopped[0].tokens.size() == 1 && stopped[0].stopped && stopped[0].of_answer.tokens == 0));
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const auto& tokens = whole[i].tokens;
        std::size_t length = tokens.size();
        for (std::size_t t = tokens.size(); t-- > 0;)
            if (std::ranges::find(plan.stop_tokens, tokens[t]) != plan.stop_tokens.end()) length = t + 1;
        CHECK(stopped[i].tokens == std::vector(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length)));
        CHECK(stopped[i].of_answer.tokens == static_cast<std::int64_t>(length) - 1);
    }
}

TEST_CASE("deactivated experts are left out, in their own sequences alone", "[decode]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto by = GENERATE(Deactivation::ban, Deactivation::minimum, Deactivation::minus_infinity);
    DecodeFixture f(tiny_config(family), Precision::fp64);
    DecodePlan plan = f.all_at_once();
    plan.deactivate_by = by;
    const std::vector<Answer> before = f.run(plan);
    f.prompts[1].deactivated = {{2, 0}, {2, 3}, {3, 1}};
    const std::vector<Answer> after = f.run(plan);
    const std::int64_t E = f.model.config.router.num_experts;
    for (std::size_t i = 0; i < after.size(); ++i) {
        if (i != 1) CHECK(same_answer(before[i], after[i]));
        if (i != 1) continue;
        double left = 0;
        for (const auto& [layer, expert] : f.prompts[i].deactivated)
            for (const GateWeights* weights : {&after[i].of_prompt, &after[i].of_answer})
                left += weights->sum[static_cast<std::size_t>(layer * E + expert)];
        const bool may_disobey = family == "glm4_moe" && by != Deactivation::ban;  // by its bias
        CHECK((may_disobey || after[i].disobeyed == 0));
        CHECK((by == Deactivation::minimum ? (left > 0) == (after[i].disobeyed > 0) : left == 0));
        CHECK(!same_answer(before[i], after[i]));
    }
}
