// What a run would cost, against counts made one row at a time.
#include "moesweep/tracing/estimate.h"

#include <algorithm>

#include "catch_beside_torch.h"
#include "moesweep/tracing/series.h"
#include "support.h"
#include "tiny_model.h"

using namespace moesweep;

namespace {

/// Multiplications and additions of one token in a layer, from the matrices that it meets.
double operations(const LayerWeights& layer, const ModelConfig& m) {
    const auto of_mlp = [](const Mlp& mlp) { return mlp.gate_up.numel() + mlp.down.numel(); };
    std::int64_t numbers = layer.qkv.numel() + layer.output.numel();
    if (layer.dense) return 2.0 * static_cast<double>(numbers + of_mlp(*layer.dense));
    numbers += layer.moe->router.numel() + m.router.num_experts_per_tok * of_mlp(layer.moe->experts[0]);
    if (layer.moe->shared) numbers += of_mlp(*layer.moe->shared);
    return 2.0 * static_cast<double>(numbers);
}

}  // namespace

TEST_CASE("rows, their layers and their arithmetic are counted as they are computed") {
    const Scratch scratch;
    const TinyModel tiny =
        write_tiny_model(scratch.folder(), tiny_config(GENERATE("qwen3_moe", "mixtral", "glm4_moe")), 3);
    const ModelConfig& m = tiny.config;
    const Weights weights(scratch.folder(), m, Precision::fp32);
    TracingConfig config;
    config.noise.draws = 3;
    config.noise.scales = "1,3,4";  // the run's own is not swept again
    config.sweep.experts = GENERATE(Experts::none, Experts::clean, Experts::union_);
    config.sweep.subsets = GENERATE(false, true);
    config.sweep.subset_layers = LayerList("all");
    const Prompts prompts{.cases = 7, .mean_tokens = 9, .max_tokens = 14};
    const Cost cost = estimate(config, m, prompts);

    const std::int64_t sweeps = 5, K = m.router.num_experts_per_tok, L = m.num_hidden_layers;
    const std::int64_t experts = config.sweep.experts == Experts::none    ? 0
                                 : config.sweep.experts == Experts::clean ? K
                                                                          : std::min(2 * K, m.router.num_experts);
    const std::int64_t subsets = config.sweep.subsets ? (1 << K) - 1 : 0;
    std::int64_t moe_layers = 0, row_layers = 0, rows = 0;
    double flops = 0;
    for (std::int64_t l = 0; l < L; ++l) {
        const double of_token = operations(weights.layer(l), m);
        flops += of_token * static_cast<double>(rows + 2 * prompts.mean_tokens);
        row_layers += rows;
        if (!m.is_moe[static_cast<std::size_t>(l)]) continue;
        ++moe_layers;
        rows += 1 + experts + 2 + subsets;
    }
    CHECK(cost.sweeps == sweeps);
    CHECK(cost.blocks == moe_layers * 7 * sweeps);
    CHECK(cost.experts_most == moe_layers * experts * 7 * sweeps);
    CHECK(cost.experts_least == (config.sweep.experts == Experts::none ? 0 : moe_layers * K * 7 * sweeps));
    CHECK(cost.coalitions == moe_layers * 2 * 7 * sweeps);
    CHECK(cost.subsets == moe_layers * subsets * 7 * sweeps);
    CHECK(cost.row_layers == row_layers * 7 * sweeps);
    CHECK(cost.flops == Approx(flops * 7 * sweeps));
    CHECK(cost.work.tokens == 14);
    CHECK(cost.work.base_rows == 28);
    CHECK(cost.work.more_rows == std::max(rows, config.sweep.subsets ? (1 << K) + 1 : std::int64_t{2}));
    CHECK(cost.work.items == 7);
}

TEST_CASE("a finished scan says how long its swept prompts are") {
    std::vector<Case> cases(4);
    for (std::size_t i = 0; i < cases.size(); ++i) cases[i].tokens.resize(3 + 2 * i);
    cases[1].split = Split::discovery;
    cases[2].relaxed_split = Split::validation;
    const Prompts prompts = prompts_of_swept(cases);
    CHECK(prompts.cases == 2);
    CHECK(prompts.mean_tokens == 6);
    CHECK(prompts.max_tokens == 7);
    CHECK(prompts_of_swept({}).cases == 0);
}
