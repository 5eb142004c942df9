// A pass: micro-batches go through the layers together, once, so that a layer's weights are needed once a pass. What
// the micro-batches are, the method says: any type Batch with
//
//     void attend(std::int64_t l, const LayerWeights& layer);
//     void apply_dense(const LayerWeights& layer);
//     MoeInput enter_moe(std::int64_t l, const LayerWeights& layer);
//     void leave_moe(std::int64_t l, const LayerWeights& layer, const MoeInput& input,
//                    const at::Tensor& contributions);
//     std::int64_t rows() const;
#pragma once
#include <cstdint>
#include <deque>
#include <utility>

#include "moesweep/comm/comm.h"
#include "moesweep/engine/expert_dispatch.h"
#include "moesweep/engine/pass_control.h"
#include "moesweep/engine/traffic.h"
#include "moesweep/model/decoder_layer.h"
#include "moesweep/model/layer_source.h"
#include "moesweep/model/weights.h"

namespace moesweep {

/// What a pass runs on. The group's ranks hold the experts together and walk in step.
struct Engine {
    const Weights& weights;
    LayerSource& layers;
    const Comm& group;
};

/// Takes all micro-batches through a MoE layer. In a group of several ranks two are in flight: the rows of one travel
/// while the experts run over those of the one before it. False if the group agreed to stop.
template <class Batch>
bool pass_moe_layer(std::int64_t l, const LayerWeights& layer, const Engine& engine, std::deque<Batch>& batches,
                    const PassControl& control, LayerTraffic& traffic) {
    struct InFlight {
        Batch& batch;
        MoeInput input;
        ExpertDispatch dispatch;
    };
    const std::size_t most_in_flight = engine.group.size() > 1 ? 1 : 0;
    std::deque<InFlight> sent, answered;
    const auto compute = [&] {
        sent.front().dispatch.compute(*layer.moe, control.tick);
        answered.push_back(std::move(sent.front()));
        sent.pop_front();
    };
    const auto collect = [&] {
        auto& [batch, input, dispatch] = answered.front();
        batch.leave_moe(l, layer, input, dispatch.collect(layer.moe->precision));
        answered.pop_front();
    };
    for (Batch& batch : batches) {
        batch.attend(l, layer);
        control.tick();
        MoeInput input = batch.enter_moe(l, layer);
        ExpertDispatch dispatch(engine.group, engine.weights.config(), input.routing, input.x, control.stop(), traffic);
        if (dispatch.stopped()) return false;
        sent.push_back({batch, std::move(input), std::move(dispatch)});
        if (sent.size() > most_in_flight) compute();
        if (answered.size() > most_in_flight) collect();
    }
    while (!sent.empty()) compute();
    while (!answered.empty()) collect();
    return true;
}

/// Takes all micro-batches through all layers. Every rank of the group calls it with as many of them. False if the
/// group agreed to stop: then they are left somewhere on the way.
template <class Batch>
bool pass_layers(const Engine& engine, std::deque<Batch>& batches, const PassControl& control, Traffic& traffic) {
    const std::int64_t layers = engine.weights.config().num_hidden_layers;
    traffic.resize(static_cast<std::size_t>(layers));
    for (std::int64_t l = 0; l < layers; ++l) {
        const LayerWeights& layer = engine.layers.layer(l);
        if (layer.moe) {
            LayerTraffic& here = traffic[static_cast<std::size_t>(l)];
            if (!pass_moe_layer(l, layer, engine, batches, control, here)) return false;
        } else {
            for (Batch& batch : batches) {
                batch.attend(l, layer);
                batch.apply_dense(layer);
                control.tick();
            }
        }
        std::int64_t rows = 0;
        for (const Batch& batch : batches) rows += batch.rows();
        control.on_progress(static_cast<double>(l + 1) / static_cast<double>(layers), rows);
    }
    return true;
}

}  // namespace moesweep
