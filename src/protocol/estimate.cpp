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

}  // namespace

Cost estimate(const Config& config, const Inputs& inputs) {
    const ModelConfig& m = inputs.model;
    const std::int64_t element = config.model.precision == Precision::fp64 ? 8 : 4, D = m.hidden_size,
                       L = m.num_hidden_layers;
    Cost cost;
    // Cases: those that pass the tokenizer's filters, in scan order; how many the margins will drop is not known yet.
    std::int64_t tokens = 0;
    for (std::size_t i = 0;
         i < inputs.order.size() && (config.cases.limit == 0 || cost.candidates < config.cases.limit); ++i) {
        const Case c = make_case(inputs.tokenizer, config, inputs.facts[inputs.order[i]], 0);
        if (c.status != Status::usable) continue;
        ++cost.candidates;
        tokens += std::int64_t(c.tokens.size());
        cost.max_tokens = std::max(cost.max_tokens, std::int64_t(c.tokens.size()));
    }
    cost.cases = cost.candidates;
    cost.mean_tokens = cost.cases > 0 ? (tokens + cost.cases - 1) / cost.cases : 0;

    const std::int64_t K = m.num_experts_per_tok, E = m.num_experts, most_union = std::min(2 * K, E);
    const bool of_clean = config.sweep.experts != Experts::none, of_union = config.sweep.experts == Experts::union_;
    const std::int64_t per_site = config.sweep.blocks + config.sweep.coalition_clean + config.sweep.coalition_union +
                                  (of_union   ? most_union
                                   : of_clean ? K
                                              : 0);
    std::int64_t sites = 0;
    for (std::int64_t l = 0; l < L; ++l) {
        const bool moe = m.is_moe[std::size_t(l)];
        cost.layer_bytes = std::max(cost.layer_bytes, layer_bytes(m, moe, element));
        double rows_here = double(per_site * sites * cost.cases);  // live rows: made below this layer
        cost.row_layers += per_site * sites * cost.cases;
        rows_here += double(2 * tokens);
        cost.flops += 2 * rows_here * multiply_adds_per_token(m, moe);
        sites += inputs.patched_layers[std::size_t(l)];
    }
    cost.blocks = config.sweep.blocks * sites * cost.cases;
    cost.coalitions = (config.sweep.coalition_clean + config.sweep.coalition_union) * sites * cost.cases;
    cost.experts_least = of_clean ? K * sites * cost.cases : 0;
    cost.experts_most = of_union ? most_union * sites * cost.cases : cost.experts_least;

    for (const auto& [name, view] : inputs.weights->checkpoint().tensors())
        cost.weight_bytes += std::int64_t(view.bytes.size());
    const std::int64_t unit_cases = std::min(config.run.unit, std::max<std::int64_t>(cost.cases, 1));
    const std::int64_t unit_tokens = unit_cases * (2 * cost.mean_tokens + per_site * sites);
    cost.kv_bytes = unit_cases * 2 * cost.mean_tokens * 2 * m.num_key_value_heads * m.head_dim * element;
    // Hidden states with the copies that a step makes of them, contributions of every slot, the patches kept, one layer.
    const std::int64_t per_token =
        6 * D + (K + 1) * D + 2 * (m.num_attention_heads + 2 * m.num_key_value_heads) * m.head_dim;
    const std::int64_t kept = config.store.vectors == Vectors::patches   ? unit_cases * per_site * sites * D * 4
                              : config.store.vectors == Vectors::outputs ? unit_cases * 2 * sites * D * 4
                                                                         : 0;
    cost.rank_bytes = cost.layer_bytes + cost.kv_bytes + unit_tokens * per_token * element + kept;

    const std::int64_t rows = cost.blocks + cost.experts_most + cost.coalitions, lines = 2 * cost.cases * L;
    const std::int64_t vectors = config.store.vectors == Vectors::patches   ? rows
                                 : config.store.vectors == Vectors::outputs ? lines
                                                                            : 0;
    cost.file_bytes =
        rows * (3 * 4 + 1 + 2 * 4 + 2 + 2 * 8) + lines * (9 + 4 + 12 * K) + vectors * D * 4 + cost.cases * 512;
    return cost;
}

}  // namespace moesweep
