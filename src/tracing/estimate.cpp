#include <algorithm>

#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

double multiply_adds_per_token(const ModelConfig& m, bool moe) {
    const double D = double(m.hidden_size),
                 attention = double(m.head_dim * (2 * m.num_attention_heads + 2 * m.num_key_value_heads)) * D;
    const double experts = double(m.num_experts_per_tok * m.moe_intermediate_size + m.shared_intermediate_size);
    return attention + (moe ? 3 * experts * D + double(m.num_experts) * D : 3 * double(m.intermediate_size) * D);
}

/// Cases that pass the tokenizer's filters, in scan order; how many the margins will drop is not known before the scan.
void count_cases(const Config& config, const Inputs& inputs, Cost& cost) {
    const std::int64_t limit = std::max(config.cases.limit, config.scale_up.limit);
    std::int64_t tokens = 0;
    for (const std::size_t record : inputs.order) {
        if (config.cases.limit > 0 && cost.cases == limit) break;
        const Case c = make_case(inputs.tokenizer, config, inputs.facts[record], 0);
        if (c.status != Status::usable) continue;
        ++cost.cases;
        tokens += std::int64_t(c.tokens.size());
        cost.max_tokens = std::max(cost.max_tokens, std::int64_t(c.tokens.size()));
    }
    cost.mean_tokens = cost.cases > 0 ? (tokens + cost.cases - 1) / cost.cases : 0;
}

/// Rows of one kind at one site; the routing union has between K and 2K experts.
struct SiteRows {
    std::int64_t blocks, experts_least, experts_most, coalitions, subsets;
    std::int64_t most() const { return blocks + experts_most + coalitions + subsets; }
};

SiteRows rows_at(const SitePlan& site, const ModelConfig& m) {
    const std::int64_t K = m.num_experts_per_tok, most = std::min(2 * K, m.num_experts);
    return {site.block, site.experts == Experts::none ? 0 : K,
            site.experts == Experts::none    ? 0
            : site.experts == Experts::clean ? K
                                             : most,
            site.coalition_clean + site.coalition_union, site.subsets ? (std::int64_t{1} << K) - 1 : 0};
}

}  // namespace

Cost estimate(const Config& config, const Inputs& inputs) {
    const ModelConfig& m = inputs.model;
    const std::int64_t D = m.hidden_size, L = m.num_hidden_layers;
    const auto sites = sweep_sites(config, m);
    Cost cost;
    count_cases(config, inputs, cost);
    cost.sweeps = config.noise.draws;
    for (const double scale : parse_numbers(config.noise.scales)) cost.sweeps += scale != config.noise.scale;

    const std::int64_t total = cost.cases * cost.sweeps;
    std::int64_t live = 0;  // rows of a case made below this layer
    for (std::int64_t l = 0; l < L; ++l) {
        const bool moe = m.is_moe[std::size_t(l)];
        cost.row_layers += live * total;
        cost.flops += 2 * double(total * (live + 2 * cost.mean_tokens)) * multiply_adds_per_token(m, moe);
        const SiteRows rows = rows_at(sites[std::size_t(l)], m);
        live += rows.most();
        cost.blocks += rows.blocks * total;
        cost.experts_least += rows.experts_least * total;
        cost.experts_most += rows.experts_most * total;
        cost.coalitions += rows.coalitions * total;
        cost.subsets += rows.subsets * total;
    }
    for (const auto& [name, view] : inputs.weights->checkpoint().stored())
        cost.weight_bytes += std::int64_t(view.bytes);
    // The second pass has at one layer what the first may not have at all.
    const std::int64_t second_pass = (std::int64_t{1} << m.num_experts_per_tok) - 1 + 2;
    cost.work = {cost.max_tokens, std::max(live, config.sweep.subsets ? second_pass : 2), cost.cases};

    const std::int64_t lines = 2 * total * L;
    const std::int64_t vectors = config.store.vectors == Vectors::patches   ? live * cost.cases
                                 : config.store.vectors == Vectors::outputs ? 2 * cost.cases * L
                                                                            : 0;
    cost.file_bytes =
        live * total * 47 + lines * (13 + 12 * m.num_experts_per_tok) + vectors * D * 4 + cost.cases * 512;
    return cost;
}

}  // namespace moesweep
