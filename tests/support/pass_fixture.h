// A tiny random checkpoint with cases and a plan, for tests that compare passes with the naive reference or each other.
#pragma once
#include <algorithm>
#include <random>
#include <vector>

#include "catch_beside_torch.h"
#include "moesweep/tracing/sweep_pass.h"
#include "naive.h"
#include "support.h"
#include "tiny_model.h"

namespace moesweep {

/// Cases of different lengths; subjects at the start, in the middle and at the very end.
inline std::vector<Case> make_cases(int vocabulary, std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<Case> cases(count);
    for (std::size_t i = 0; i < count; ++i) {
        const int length = 1 + static_cast<int>(i * 5 % 23);
        for (int t = 0; t < length; ++t)
            cases[i].tokens.push_back(static_cast<int>(random() % static_cast<unsigned>(vocabulary)));
        cases[i].subject_begin = static_cast<int>(i) % length;
        cases[i].subject_end = std::min(length, cases[i].subject_begin + 1 + static_cast<int>(i % 3));
        cases[i].true_id = static_cast<int>(i) % vocabulary;
        cases[i].foil_id = static_cast<int>(i + 7) % vocabulary;
        cases[i].fact.case_id = static_cast<std::int64_t>(100 + i);
    }
    return cases;
}

constexpr SitePlan every_kind_of_a_sweep{
    .block = true, .experts = Experts::union_, .coalition_clean = true, .coalition_union = true};

struct Fixture {
    Scratch scratch;
    TinyModel model;
    Weights weights;
    mutable LayerSource layers;  // changes as it is read
    Comm alone = Comm::alone();
    std::vector<Case> cases;
    std::vector<PassCase> pass_cases;
    PassPlan plan;

    Fixture(const Json& json, Precision precision, std::size_t count)
        : model(write_tiny_model(scratch.folder(), json, 11)),
          weights(scratch.folder(), model.config, precision),
          layers(weights, {0, model.config.router.num_experts}, /*streamed=*/false),
          cases(make_cases(static_cast<int>(model.config.vocab_size), count, 5)) {
        at::set_num_threads(1);
        for (std::size_t i = 0; i < count; ++i)
            pass_cases.push_back({&cases[i], static_cast<std::int32_t>(i),
                                  subject_noise(cases[i].subject_end - cases[i].subject_begin, model.config.hidden_size,
                                                0.8, cases[i].fact.case_id)});
        for (const bool is_moe : model.config.is_moe) plan.sites.push_back(is_moe ? every_kind_of_a_sweep : SitePlan{});
    }
    PassResult run(std::span<const PassCase> some) const {
        return run_pass({weights, layers, alone}, some, plan).value();
    }
};

/// Embeddings of a case's run.
inline std::vector<naive::Vector> embeddings(const Fixture& f, std::size_t i, bool noised) {
    std::vector<naive::Vector> all;
    const Case& c = f.cases[i];
    for (std::size_t t = 0; t < c.tokens.size(); ++t) {
        all.push_back(naive::embedding(f.model, c.tokens[t]));
        const auto place = static_cast<std::int64_t>(t) - c.subject_begin;
        if (!noised || place < 0 || static_cast<int>(t) >= c.subject_end) continue;
        const at::Tensor row = f.pass_cases[i].noise[place];
        for (std::size_t d = 0; d < all.back().size(); ++d) all.back()[d] += row.data_ptr<float>()[d];
    }
    return all;
}

inline naive::Vector contribution(const naive::Block& block, int expert, std::size_t D) {
    const auto at = block.contributions.find(expert);
    return at == block.contributions.end() ? naive::Vector(D) : at->second;
}

}  // namespace moesweep
