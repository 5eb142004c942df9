#include <algorithm>

#include "moesweep/protocol.h"

namespace moesweep {
namespace {

double multiply_adds_per_token(const ModelConfig& m, bool moe) {
    const double D = double(m.hidden_size),
                 attention = double(m.head_dim * (2 * m.num_attention_heads + 2 * m.num_key_value_heads)) * D;
    const double experts = double(m.num_experts_per_tok * m.moe_intermediate_size + m.shared_intermediate_size);
    return attention + (moe ? 3 * experts * D + double(m.num_experts) * D : 3 * double(m.intermediate_size) * D);
}

/// Bytes that a layer takes in the run's precision.
std::int64_t layer_bytes(const ModelConfig& m, bool moe, std::int64_t element) {
    const std::int64_t D = m.hidden_size,
                       attention = m.head_dim * (2 * m.num_attention_heads + 2 * m.num_key_value_heads) * D;
    const std::int64_t inner =
        moe ? m.num_experts * m.moe_intermediate_size + m.shared_intermediate_size : m.intermediate_size;
    return element * (attention + 3 * inner * D + (moe ? m.num_experts * D : 0));
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

/// Memory of a rank: hidden states with the copies that a step makes of them, contributions of every slot, keys and
/// values, the patches kept, one layer.
std::int64_t rank_bytes(const Config& config, const ModelConfig& m, const Cost& cost, std::int64_t site_rows,
                        std::int64_t element) {
    const std::int64_t D = m.hidden_size, cases = std::min(config.run.unit, std::max<std::int64_t>(cost.cases, 1));
    const std::int64_t tokens = cases * (2 * cost.mean_tokens + site_rows);
    const std::int64_t heads = (m.num_attention_heads + 2 * m.num_key_value_heads) * m.head_dim;
    const std::int64_t per_token = (m.num_experts_per_tok + 7) * D + 2 * heads;
    const std::int64_t kept = config.store.vectors == Vectors::patches   ? site_rows
                              : config.store.vectors == Vectors::outputs ? 2 * m.num_hidden_layers
                                                                         : 0;
    return cost.layer_bytes + cost.kv_bytes + tokens * per_token * element + cases * kept * D * 4;
}

}  // namespace

Cost estimate(const Config& config, const Inputs& inputs) {
    const ModelConfig& m = inputs.model;
    const std::int64_t element = config.model.precision == Precision::fp64 ? 8 : 4, D = m.hidden_size,
                       L = m.num_hidden_layers;
    const auto sites = sweep_sites(config, m);
    Cost cost;
    count_cases(config, inputs, cost);
    cost.sweeps = config.noise.draws;
    for (const double scale : parse_numbers(config.noise.scales)) cost.sweeps += scale != config.noise.scale;

    const std::int64_t total = cost.cases * cost.sweeps;
    std::int64_t live = 0;  // rows of a case made below this layer
    for (std::int64_t l = 0; l < L; ++l) {
        const bool moe = m.is_moe[std::size_t(l)];
        cost.layer_bytes = std::max(cost.layer_bytes, layer_bytes(m, moe, element));
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
    for (const auto& [name, view] : inputs.weights->checkpoint().tensors())
        cost.weight_bytes += std::int64_t(view.bytes);
    const std::int64_t unit_cases = std::min(config.run.unit, std::max<std::int64_t>(cost.cases, 1));
    cost.kv_bytes = unit_cases * 2 * cost.mean_tokens * 2 * m.num_key_value_heads * m.head_dim * element;
    cost.rank_bytes = rank_bytes(config, m, cost, live, element);

    const std::int64_t lines = 2 * total * L;
    const std::int64_t vectors = config.store.vectors == Vectors::patches   ? live * cost.cases
                                 : config.store.vectors == Vectors::outputs ? 2 * cost.cases * L
                                                                            : 0;
    cost.file_bytes =
        live * total * 47 + lines * (13 + 12 * m.num_experts_per_tok) + vectors * D * 4 + cost.cases * 512;
    return cost;
}

}  // namespace moesweep
