#include "moesweep/model/full_forward.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "moesweep/model/attention.h"
#include "moesweep/model/decoder_layer.h"
#include "moesweep/model/experts.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

/// Where the prompts' tokens lie among the rows, as in a layer pass: the contexts of all prompts (all tokens but the
/// last), then their last tokens.
struct Places {
    std::vector<Context> contexts;
    std::vector<std::int64_t> positions;  // of each row in its prompt
    std::vector<std::int64_t> rows;       // of each token, prompt after prompt
    std::vector<std::int32_t> ids;        // of each row

    explicit Places(std::span<const std::vector<std::int32_t>> prompts) {
        std::int64_t begin = 0;
        for (const auto& prompt : prompts) {
            contexts.push_back({begin, static_cast<std::int64_t>(prompt.size()) - 1});
            ids.insert(ids.end(), prompt.begin(), prompt.end() - 1);
            for (std::int64_t t = 0; t < contexts.back().length; ++t) positions.push_back(t);
            begin += contexts.back().length;
        }
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            const auto& [first, length] = contexts[i];
            for (std::int64_t t = 0; t < length; ++t) rows.push_back(first + t);
            rows.push_back(static_cast<std::int64_t>(ids.size()));
            ids.push_back(prompts[i].back());
            positions.push_back(length);
        }
    }
};

at::Tensor feed(const DecoderLayer& layer, const at::Tensor& hidden) {
    if (layer.weights.dense) return layer.add_dense(hidden);
    const MoeWeights& moe = *layer.weights.moe;
    const auto [x, routing] = layer.enter_moe(hidden);
    return layer.add(hidden, combine(moe, routing, contributions(moe, routing, x), x));
}

}  // namespace

at::Tensor full_forward(const Weights& weights, LayerSource& layers,
                        std::span<const std::vector<std::int32_t>> prompts) {
    const ModelConfig& config = weights.config();
    const Places places(prompts);
    const auto there = [&](const std::vector<std::int64_t>& values) {
        return at::tensor(values, at::kLong).to(weights.device());
    };
    const std::int64_t longest = std::ranges::max(places.positions) + 1;
    const Rotary rotary(config.rope, longest, weights.precision(), weights.device());
    Attention attention(config.heads, places.contexts, weights.precision(), weights.device());
    std::vector<std::int64_t> runs(prompts.size());
    std::iota(runs.begin(), runs.end(), 0);
    attention.add_rows(runs);

    const at::Tensor positions = there(places.positions);
    at::Tensor hidden = weights.embed(places.ids);
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) {
        const DecoderLayer layer{config, layers.layer(l), weights.precision()};
        const at::Tensor heads = layer.project_heads(hidden, rotary, positions);
        hidden = layer.add_attention(hidden, attention.mix(heads, /*with_contexts=*/true));
        hidden = feed(layer, hidden);
    }
    return hidden.index_select(0, there(places.rows));
}

at::Tensor logits(const Weights& weights, const at::Tensor& hidden) {
    std::vector<std::int32_t> vocabulary(static_cast<std::size_t>(weights.config().vocab_size));
    std::iota(vocabulary.begin(), vocabulary.end(), 0);
    const at::Tensor normed =
        rms_norm(hidden, weights.final_norm(), weights.config().rms_norm_eps, weights.precision());
    return project(normed, weights.head(vocabulary), {}, weights.precision());
}

}  // namespace moesweep
