#include "moesweep/tracing/layer_pass.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <deque>

#include "engine/expert_dispatch.h"
#include "micro_batch.h"
#include "moesweep/model/device_errors.h"

namespace moesweep {
namespace {

/// As many micro-batches as the plan says, of as equal numbers of cases as can be; some may have none.
std::deque<MicroBatch> cut(const Weights& weights, std::span<const PassCase> cases, const PassPlan& plan) {
    const auto n = cases.size(), parts = static_cast<std::size_t>(plan.micro_batches);
    std::deque<MicroBatch> batches;
    for (std::size_t i = 0; i < parts; ++i) {
        const std::size_t begin = n * i / parts, end = n * (i + 1) / parts;
        batches.emplace_back(weights, cases.subspan(begin, end - begin), plan);
    }
    return batches;
}

/// A micro-batch in a MoE layer.
struct Trip {
    MicroBatch& batch;
    MoeInput input;
    ExpertDispatch dispatch;
};

/// Takes all micro-batches through a MoE layer. In a group of several ranks two are in flight: the rows of one travel
/// while the experts run over those of the one before it. False if the group agreed to stop.
bool apply_moe_layer(std::int64_t l, const LayerWeights& layer, bool last, const Comm& group,
                     std::deque<MicroBatch>& batches, const ModelConfig& config, const PassPlan& plan,
                     LayerTraffic& traffic) {
    const std::size_t in_flight = group.size() > 1 ? 1 : 0;
    std::deque<Trip> sent, answered;
    const auto compute = [&] {
        sent.front().dispatch.compute(*layer.moe, plan.control.tick);
        answered.push_back(std::move(sent.front()));
        sent.pop_front();
    };
    const auto collect = [&] {
        auto& [batch, input, dispatch] = answered.front();
        batch.leave_moe(l, layer, input, dispatch.collect(layer.moe->precision));
        answered.pop_front();
    };
    for (MicroBatch& batch : batches) {
        batch.attend(layer, last);
        plan.control.tick();
        MoeInput input = batch.enter_moe(layer);
        ExpertDispatch dispatch(group, config, input.routing, input.x, plan.control.stop(), traffic);
        if (dispatch.stopped()) return false;
        sent.push_back({batch, std::move(input), std::move(dispatch)});
        if (sent.size() > in_flight) compute();
        if (answered.size() > in_flight) collect();
    }
    while (!sent.empty()) compute();
    while (!answered.empty()) collect();
    return true;
}

PassResult join(std::deque<MicroBatch>& batches) {
    PassResult whole = batches.front().finish();
    for (auto batch = batches.begin() + 1; batch != batches.end(); ++batch) {
        const PassResult part = batch->finish();
        whole.delta_clean.insert(whole.delta_clean.end(), part.delta_clean.begin(), part.delta_clean.end());
        whole.delta_noised.insert(whole.delta_noised.end(), part.delta_noised.begin(), part.delta_noised.end());
        append_tables(whole.tables, part.tables);
    }
    sort_by_item(whole.tables);
    return whole;
}

/// The pass itself, on a device that may refuse.
std::optional<PassResult> climb(const Engine& engine, std::span<const PassCase> cases, const PassPlan& plan,
                                Traffic& layers) {
    const ModelConfig& config = engine.weights.config();
    std::deque<MicroBatch> batches = cut(engine.weights, cases, plan);
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) {
        const LayerWeights& layer = engine.layers.layer(l);
        const bool last = l + 1 == config.num_hidden_layers;
        if (layer.moe) {
            LayerTraffic& here = layers[static_cast<std::size_t>(l)];
            if (!apply_moe_layer(l, layer, last, engine.group, batches, config, plan, here)) return std::nullopt;
        } else {
            for (MicroBatch& batch : batches) {
                batch.attend(layer, last);
                batch.apply_dense(layer);
                plan.control.tick();
            }
        }
        std::int64_t rows = 0;
        for (const MicroBatch& batch : batches) rows += batch.rows();
        plan.control.on_layer(l, rows);
    }
    return join(batches);
}

}  // namespace

at::Tensor subject_noise(std::int64_t subject_tokens, std::int64_t hidden_size, double sigma, std::int64_t seed) {
    const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
    return at::randn({subject_tokens, hidden_size}, generator, at::kFloat) * sigma;
}

std::optional<PassResult> run_pass(const Engine& engine, std::span<const PassCase> cases, const PassPlan& plan,
                                   Traffic* traffic) {
    const c10::InferenceMode no_autograd;
    Traffic unasked;
    Traffic& layers = traffic ? *traffic : unasked;
    layers.resize(static_cast<std::size_t>(engine.weights.config().num_hidden_layers));
    std::optional<PassResult> result;
    on_device(engine.weights.device(), [&] { result = climb(engine, cases, plan, layers); });
    return result;
}

}  // namespace moesweep
