#include "decode_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "moesweep/model/experts.h"
#include "moesweep/model/next_token.h"

namespace moesweep {

std::vector<Context> DecodeBatch::contexts(const std::vector<InFlight*>& sequences) {
    std::vector<Context> all;
    std::int64_t begin = 0;
    for (const InFlight* sequence : sequences) {
        if (!sequence->is_new()) {
            all.push_back({sequence->cache_begin, sequence->cached});
            continue;
        }
        all.push_back({begin, sequence->rows() - 1});
        begin += sequence->rows() - 1;
    }
    return all;
}

DecodeBatch::DecodeBatch(const Weights& weights, const Rotary& rotary, KvCache& cache, const DecodePlan& plan,
                         std::vector<InFlight*> sequences)
    : weights_(weights),
      rotary_(rotary),
      cache_(cache),
      plan_(plan),
      sequences_(std::move(sequences)),
      new_(!sequences_.empty() && sequences_[0]->is_new()),
      attention_(weights.config().heads, contexts(sequences_), weights.precision(), weights.device(),
                 new_ ? Attention::Runs::prompts : Attention::Runs::cached),
      hidden_(at::empty({0, weights.config().hidden_size}, weights.options())) {
    if (!sequences_.empty()) embed();
}

void DecodeBatch::embed() {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> positions, cache_rows, runs(sequences_.size());
    const auto add = [&](std::size_t s, std::int32_t token, std::int64_t position) {
        tokens.push_back(token);
        positions.push_back(position);
        cache_rows.push_back(sequences_[s]->cache_begin + position);
        row_sequence_.push_back(s);
    };
    for (std::size_t s = 0; new_ && s < sequences_.size(); ++s)
        for (std::int64_t t = 0; t + 1 < sequences_[s]->rows(); ++t)
            add(s, sequences_[s]->prompt->tokens[static_cast<std::size_t>(t)], t);
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
        const InFlight& sequence = *sequences_[s];
        if (new_)
            add(s, sequence.prompt->tokens.back(), sequence.rows() - 1);
        else
            add(s, sequence.answer->tokens.back(), sequence.cached);
    }
    std::iota(runs.begin(), runs.end(), 0);
    attention_.add_rows(runs);
    const auto there = [&](const std::vector<std::int64_t>& values) {
        return at::tensor(values, at::kLong).to(weights_.device());
    };
    hidden_ = weights_.embed(tokens);
    positions_ = there(positions);
    cache_row_ = there(cache_rows);
}

DecoderLayer DecodeBatch::of(const LayerWeights& layer) const {
    return {weights_.config(), layer, weights_.precision()};
}

/// In the last layer a new prompt's contexts have done their work with their keys and values, unless their routing is
/// asked for.
void DecodeBatch::attend(std::int64_t l, const LayerWeights& layer) {
    if (sequences_.empty()) return;
    const Heads& sizes = weights_.config().heads;
    const at::Tensor heads = of(layer).project_heads(hidden_, rotary_, positions_);
    cache_.layer(l).index_copy_(0, cache_row_,
                                heads.narrow(1, sizes.num_attention_heads, 2 * sizes.num_key_value_heads));
    const bool rows_alone = new_ && !plan_.capture && l + 1 == weights_.config().num_hidden_layers;
    const at::Tensor mixed =
        new_ ? attention_.mix(heads, /*with_contexts=*/!rows_alone) : attention_.mix(heads, cache_.layer(l));
    if (rows_alone) {
        hidden_ = hidden_.narrow(0, attention_.contexts_end(), attention_.rows());
        row_sequence_.erase(row_sequence_.begin(), row_sequence_.begin() + attention_.contexts_end());
    }
    hidden_ = of(layer).add_attention(hidden_, mixed);
}

void DecodeBatch::apply_dense(const LayerWeights& layer) {
    if (!sequences_.empty()) hidden_ = of(layer).add_dense(hidden_);
}

MoeInput DecodeBatch::enter_moe(std::int64_t l, const LayerWeights& layer) {
    const Deactivated without = deactivated(l);
    MoeInput input = of(layer).enter_moe(hidden_, without);
    if (!sequences_.empty()) note(l, input.routing, without);
    return input;
}

/// Of every row in layer l.
Deactivated DecodeBatch::deactivated(std::int64_t l) const {
    const auto of_layer = [&](std::size_t s) -> const std::vector<std::int32_t>& {
        return sequences_[s]->deactivated[static_cast<std::size_t>(l)];
    };
    if (std::ranges::none_of(row_sequence_, [&](std::size_t s) { return !of_layer(s).empty(); })) return {};
    const std::int64_t E = weights_.config().router.num_experts;
    const at::Tensor experts = at::zeros({rows(), E}, at::kBool);
    bool* row = experts.data_ptr<bool>();
    for (const std::size_t s : row_sequence_) {
        for (const std::int32_t e : of_layer(s)) row[e] = true;
        row += E;
    }
    return {experts.to(weights_.device()), plan_.deactivate_by};
}

/// Adds a layer's gate weights, token by token in their order, and counts what chose a deactivated expert.
void DecodeBatch::note(std::int64_t l, const Routing& routing, const Deactivated& without) {
    if (without.experts.defined()) {
        const at::Tensor chosen = without.experts.gather(1, routing.experts).sum(1).cpu();
        for (std::size_t row = 0; row < row_sequence_.size(); ++row)
            sequences_[row_sequence_[row]]->answer->disobeyed += chosen.const_data_ptr<std::int64_t>()[row];
    }
    if (!plan_.capture) return;
    const at::Tensor experts = routing.experts.cpu(), weights = routing.weights.to(at::kDouble).cpu().contiguous();
    const auto K = static_cast<std::size_t>(experts.size(1));
    const std::int64_t* expert = experts.const_data_ptr<std::int64_t>();
    const double* weight = weights.const_data_ptr<double>();
    const std::int64_t first = l * weights_.config().router.num_experts;
    for (const std::size_t s : row_sequence_) {
        Answer& answer = *sequences_[s]->answer;
        auto& sum = (new_ ? answer.of_prompt : answer.of_answer).sum;
        for (std::size_t k = 0; k < K; ++k) sum[static_cast<std::size_t>(first + *expert++)] += *weight++;
    }
}

void DecodeBatch::leave_moe(std::int64_t, const LayerWeights& layer, const MoeInput& input,
                            const at::Tensor& contributions) {
    if (sequences_.empty()) return;
    hidden_ = of(layer).add(hidden_, combine(*layer.moe, input.routing, contributions, input.x));
}

void DecodeBatch::answer() {
    const auto n = static_cast<std::int64_t>(sequences_.size());
    const NextTokens next = next_tokens(weights_, hidden_.narrow(0, hidden_.size(0) - n, n));
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
        InFlight& sequence = *sequences_[s];
        Answer& answer = *sequence.answer;
        (new_ ? answer.of_prompt : answer.of_answer).tokens += sequence.rows();
        sequence.cached += sequence.rows();
        answer.tokens.push_back(next.ids[s]);
        answer.gaps.push_back(next.gaps[s]);
        answer.stopped = std::ranges::find(plan_.stop_tokens, next.ids[s]) != plan_.stop_tokens.end();
    }
}

}  // namespace moesweep
