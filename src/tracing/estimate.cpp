#include "moesweep/tracing/estimate.h"

#include <algorithm>

#include "moesweep/tracing/series.h"

namespace moesweep {
namespace {

double multiply_adds_per_token(const ModelConfig& m, bool moe) {
    const double D = double(m.hidden_size),
                 attention =
                     double(m.heads.head_dim * (2 * m.heads.num_attention_heads + 2 * m.heads.num_key_value_heads)) * D;
    const double experts =
        double(m.router.num_experts_per_tok * m.expert.intermediate_size + m.shared_expert.intermediate_size);
    return attention +
           (moe ? 3 * experts * D + double(m.router.num_experts) * D : 3 * double(m.dense.intermediate_size) * D);
}

/// Rows of one kind at one site; the routing union has between K and 2K experts.
struct SiteRows {
    std::int64_t blocks, experts_least, experts_most, coalitions, subsets;
    std::int64_t most() const { return blocks + experts_most + coalitions + subsets; }
};

SiteRows rows_at(const SitePlan& site, const ModelConfig& m) {
    const std::int64_t K = m.router.num_experts_per_tok, most = std::min(2 * K, m.router.num_experts);
    return {site.block, site.experts == Experts::none ? 0 : K,
            site.experts == Experts::none    ? 0
            : site.experts == Experts::clean ? K
                                             : most,
            site.coalition_clean + site.coalition_union, site.subsets ? (std::int64_t{1} << K) - 1 : 0};
}

Prompts prompts_of(const std::vector<const Case*>& cases) {
    Prompts prompts;
    std::int64_t tokens = 0;
    for (const Case* c : cases) {
        ++prompts.cases;
        tokens += std::ssize(c->tokens);
        prompts.max_tokens = std::max<std::int64_t>(prompts.max_tokens, std::ssize(c->tokens));
    }
    prompts.mean_tokens = prompts.cases > 0 ? (tokens + prompts.cases - 1) / prompts.cases : 0;
    return prompts;
}

}  // namespace

Prompts prompts_to_come(const TracingConfig& config, CaseSource& source) {
    const auto limit = static_cast<std::size_t>(std::max(config.cases.limit, config.scale_up.limit));
    std::size_t usable = 0, end = 0;
    for (; end < source.size() && (config.cases.limit == 0 || usable < limit); ++end)
        usable += source.at(end).status == Status::usable;
    std::vector<const Case*> cases;
    for (std::size_t i = 0; i < end; ++i)
        if (source.at(i).status == Status::usable) cases.push_back(&source.at(i));
    return prompts_of(cases);
}

Prompts prompts_of_swept(const std::vector<Case>& scanned) {
    std::vector<const Case*> cases;
    for (const auto index : swept_cases(scanned)) cases.push_back(&scanned[static_cast<std::size_t>(index)]);
    return prompts_of(cases);
}

Cost estimate(const TracingConfig& config, const ModelConfig& m, const Prompts& prompts) {
    const std::int64_t D = m.hidden_size, L = m.num_hidden_layers, K = m.router.num_experts_per_tok;
    const auto sites = sweep_sites(config, m);
    Cost cost{.prompts = prompts};
    cost.sweeps = config.noise.draws;
    for (const double scale : config.noise.scales.values()) cost.sweeps += scale != config.noise.scale;

    const std::int64_t total = prompts.cases * cost.sweeps;
    std::int64_t live = 0;  // rows of a case made below this layer
    for (std::int64_t l = 0; l < L; ++l) {
        const bool moe = m.is_moe[std::size_t(l)];
        cost.row_layers += live * total;
        cost.flops += 2 * double(total * (live + 2 * prompts.mean_tokens)) * multiply_adds_per_token(m, moe);
        const SiteRows rows = rows_at(sites[std::size_t(l)], m);
        live += rows.most();
        cost.blocks += rows.blocks * total;
        cost.experts_least += rows.experts_least * total;
        cost.experts_most += rows.experts_most * total;
        cost.coalitions += rows.coalitions * total;
        cost.subsets += rows.subsets * total;
    }
    // The second pass has at one layer what the first may not have at all.
    const std::int64_t second_pass = (std::int64_t{1} << K) - 1 + 2;
    const std::int64_t rows = std::max(live, config.sweep.subsets ? second_pass : 2);
    const auto vectors_of = [&](std::int64_t patches) {
        return config.store.vectors == Vectors::patches   ? patches
               : config.store.vectors == Vectors::outputs ? 2 * L
                                                          : 0;
    };
    // Results are there as noted, as sorted, and as a unit's file image.
    const std::int64_t kept = 3 * (vectors_of(rows) * D * 4 + 2 * L * (16 + 12 * K));
    cost.work = {prompts.max_tokens, 2 * prompts.max_tokens, rows, kept, prompts.cases};
    cost.file_bytes = live * total * 47 + 2 * total * L * (13 + 12 * K) + vectors_of(live) * prompts.cases * D * 4 +
                      prompts.cases * 512;
    return cost;
}

}  // namespace moesweep
