#include "micro_batch.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moesweep/model/experts.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

constexpr std::int64_t score_rows = 1024;  // scored at a time, to bound memory in double

std::int64_t length(const PassCase& c) {
    return static_cast<std::int64_t>(c.facts->tokens.size());
}

std::int64_t longest(std::span<const PassCase> cases) {
    std::int64_t most = 1;
    for (const auto& c : cases) most = std::max(most, length(c));
    return most;
}

std::vector<Context> contexts(std::span<const PassCase> cases) {
    std::vector<Context> all;
    std::int64_t begin = 0;
    for (const auto& c : cases)
        for (int run = 0; run < 2; ++run, begin += length(c) - 1) all.push_back({begin, length(c) - 1});
    return all;
}

}  // namespace

MicroBatch::MicroBatch(const Weights& weights, std::span<const PassCase> cases, const PassPlan& plan)
    : config_(weights.config()),
      weights_(weights),
      cases_(cases),
      plan_(plan),
      precision_(weights.precision()),
      rotary_(config_.rope, longest(cases), precision_, weights.device()),
      attention_(config_.heads, contexts(cases), precision_, weights.device()),
      recorder_(config_, cases, plan),
      hidden_(at::empty({0, config_.hidden_size}, weights.options())) {
    if (!cases.empty()) embed();
}

/// The noise goes to the subject's tokens of the noised runs (eq. 2).
void MicroBatch::embed() {
    std::vector<at::Tensor> parts, last_rows;
    std::vector<std::int64_t> positions, runs;
    for (const auto& c : cases_) {
        const at::Tensor clean = weights_.embed(c.facts->tokens), noised = clean.clone();
        const at::Tensor subject =
            noised.narrow(0, c.facts->subject_begin, c.facts->subject_end - c.facts->subject_begin);
        subject.copy_(rounded(subject + rounded(c.noise.to(clean.options()), precision_), precision_));
        for (const auto& run : {clean, noised}) {
            const std::int64_t context = length(c) - 1;
            parts.push_back(run.narrow(0, 0, context));
            last_rows.push_back(run.narrow(0, context, 1));
            for (std::int64_t t = 0; t < context; ++t) positions.push_back(t);
            runs.push_back(static_cast<std::int64_t>(runs.size()));
        }
    }
    for (const auto run : runs) positions.push_back(length(cases_[static_cast<std::size_t>(run / 2)]) - 1);
    parts.insert(parts.end(), last_rows.begin(), last_rows.end());
    hidden_ = at::cat(parts);
    positions_ = at::tensor(positions, at::kLong).to(weights_.device());
    attention_.add_rows(runs);
    first_row_ = attention_.contexts_end();
    base_rows_ = static_cast<std::int64_t>(runs.size());
}

DecoderLayer MicroBatch::of(const LayerWeights& layer) const {
    return {config_, layer, precision_};
}

void MicroBatch::attend(std::int64_t l, const LayerWeights& layer) {
    if (cases_.empty()) return;
    const bool last = l + 1 == config_.num_hidden_layers;
    const at::Tensor heads = of(layer).project_heads(hidden_, rotary_, positions_);
    const at::Tensor mixed = attention_.mix(heads, /*with_contexts=*/!last);
    if (last) {
        hidden_ = hidden_.narrow(0, attention_.contexts_end(), attention_.rows());
        first_row_ = 0;
    }
    hidden_ = of(layer).add_attention(hidden_, mixed);
}

void MicroBatch::apply_dense(const LayerWeights& layer) {
    if (!cases_.empty()) hidden_ = of(layer).add_dense(hidden_);
}

MoeInput MicroBatch::enter_moe(std::int64_t, const LayerWeights& layer) const {
    return of(layer).enter_moe(hidden_);
}

void MicroBatch::leave_moe(std::int64_t l, const LayerWeights& layer, const MoeInput& input,
                           const at::Tensor& contributions) {
    if (cases_.empty()) return;
    const at::Tensor outputs = combine(*layer.moe, input.routing, contributions, input.x);
    const auto base = [&](const at::Tensor& t) { return t.narrow(0, first_row_, base_rows_); };
    const Routing routing{base(input.routing.experts), base(input.routing.weights), base(input.routing.gap)};
    recorder_.routing(l, routing, base(contributions), base(outputs));
    at::Tensor rows;
    if (plan_.sites[static_cast<std::size_t>(l)].any())
        rows = patched_rows(l, routing.experts, base(contributions), base(outputs));
    hidden_ = of(layer).add(hidden_, outputs);
    if (rows.defined()) hidden_ = at::cat({hidden_, rows});
}

/// A row for every patch of this layer: the noised run's residual before the MoE block plus the patched output.
at::Tensor MicroBatch::patched_rows(std::int64_t l, const at::Tensor& base_experts, const at::Tensor& contributions,
                                    const at::Tensor& outputs) {
    const at::Tensor experts = base_experts.cpu().contiguous();
    std::vector<std::optional<Pair>> pairs;
    for (const PassCase& c : cases_) pairs.push_back(c.pair);
    const Patches patches =
        make_patches({{experts.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(experts.numel())},
                      contributions,
                      outputs,
                      pairs},
                     plan_.sites[static_cast<std::size_t>(l)]);
    if (patches.interventions.empty()) return {};
    recorder_.patches(l, patches);
    std::vector<std::int64_t> runs, positions;
    for (const Intervention& row : patches.interventions) {
        runs.push_back(static_cast<std::int64_t>(2 * row.case_in_batch + 1));
        positions.push_back(length(cases_[row.case_in_batch]) - 1);
    }
    attention_.add_rows(runs);
    const auto there = [&](const std::vector<std::int64_t>& values) {
        return at::tensor(values, at::kLong).to(weights_.device(), /*non_blocking=*/true);
    };
    positions_ = at::cat({positions_, there(positions)});
    return rounded(hidden_.narrow(0, first_row_, base_rows_).index_select(0, there(runs)) + patches.outputs,
                   precision_);
}

/// delta of every row: final-norm(row) . (U[true] - U[foil]), summed in double (eq. 1).
std::vector<double> MicroBatch::score() const {
    std::vector<std::int32_t> true_ids, foil_ids;
    for (const auto& c : cases_) {
        true_ids.push_back(c.facts->true_id);
        foil_ids.push_back(c.facts->foil_id);
    }
    const at::Tensor contrast = weights_.head(true_ids).to(at::kDouble) - weights_.head(foil_ids).to(at::kDouble);
    const at::Tensor final_norm = weights_.final_norm();
    const at::Tensor row_case = at::floor_divide(at::tensor(attention_.row_runs(), at::kLong), 2).to(weights_.device());

    std::vector<double> deltas;
    for (std::int64_t row = 0; row < hidden_.size(0); row += score_rows) {
        const std::int64_t n = std::min(score_rows, hidden_.size(0) - row);
        const at::Tensor normed = rms_norm(hidden_.narrow(0, row, n), final_norm, config_.rms_norm_eps, precision_);
        const at::Tensor delta = dot_rows(normed, contrast, row_case.narrow(0, row, n)).cpu();
        deltas.insert(deltas.end(), delta.data_ptr<double>(), delta.data_ptr<double>() + n);
    }
    return deltas;
}

PassResult MicroBatch::finish() {
    return recorder_.finish(cases_.empty() ? std::vector<double>{} : score());
}

}  // namespace moesweep
