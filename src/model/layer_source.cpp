#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <limits>

#include "layer_reader.h"

namespace moesweep {

/// Layer l lies in memory[l] if resident. Streamed, the layers take turns in memory[l % 2]: the next one never lies where
/// the one in use does.
struct LayerSource::State {
    ExpertShare share;
    bool streamed;
    LayerReader reader;
    std::int64_t memory_bytes = 0;
    double seconds_waited = 0;
    std::vector<at::Tensor> memory;
    std::vector<LayerPlan> plans;

    static constexpr std::int64_t none = -1;
    std::int64_t ahead = none;  // the layer that the thread reads or has read
    std::stop_source stop;
    std::future<void> reading;  // last of all: its destructor waits for the thread, which uses the others

    State(ExpertShare share_, bool streamed_) : share(share_), streamed(streamed_), reader(streamed_) {}
    ~State() { stop.request_stop(); }

    const at::Tensor& memory_of(std::int64_t layer) const {
        return memory[static_cast<std::size_t>(layer) % memory.size()];
    }
    const LayerPlan& plan_of(std::int64_t layer) const { return plans[static_cast<std::size_t>(layer)]; }

    void start(std::int64_t layer) {
        stop = std::stop_source();
        reading = std::async(std::launch::async, [this, layer, token = stop.get_token()] {
            reader.read(plan_of(layer), memory_of(layer), token);
        });
        ahead = layer;
    }

    /// Ends a read that nobody wants, and forgets how it went.
    void discard() {
        if (ahead == none) return;
        stop.request_stop();
        reading.wait();
        ahead = none;
    }

    /// The reader's Error is thrown here.
    void finish() {
        const auto begin = std::chrono::steady_clock::now();
        reading.wait();
        seconds_waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        ahead = none;
        reading.get();
    }
};

LayerSource::LayerSource(const Weights& weights, ExpertShare share, bool streamed)
    : state_(std::make_unique<State>(share, streamed)) {
    State& s = *state_;
    const std::int64_t layers = weights.config().num_hidden_layers;
    std::vector<std::int64_t> sizes;
    for (std::int64_t l = 0; l < layers; ++l) sizes.push_back(plan_layer(weights, l, share).bytes);
    if (streamed) sizes.assign(2, *std::ranges::max_element(sizes));
    for (const std::int64_t bytes : sizes) {
        s.memory.push_back(map_memory(bytes));
        s.memory_bytes += bytes;
    }
    for (std::int64_t l = 0; l < layers; ++l) s.plans.push_back(plan_layer(weights, l, share, s.memory_of(l)));
    if (streamed) s.memory_bytes += s.reader.memory_bytes();
    if (!streamed)
        for (std::int64_t l = 0; l < layers; ++l) s.reader.read(s.plan_of(l), s.memory_of(l));
}

LayerSource::~LayerSource() = default;

const LayerWeights& LayerSource::layer(std::int64_t index) {
    State& s = *state_;
    const auto layers = static_cast<std::int64_t>(s.plans.size());
    if (index < 0 || index >= layers) fail(Exit::internal, "layer {} of {} asked for", index, layers);
    if (s.streamed) {
        if (s.ahead != index) {
            s.discard();
            s.start(index);
        }
        s.finish();
        if (index + 1 < layers) s.start(index + 1);
    }
    return s.plan_of(index).weights;
}

ExpertShare LayerSource::share() const {
    return state_->share;
}
bool LayerSource::streamed() const {
    return state_->streamed;
}
std::int64_t LayerSource::memory_bytes() const {
    return state_->memory_bytes;
}
std::int64_t LayerSource::bytes_read() const {
    return state_->reader.bytes_read();
}
double LayerSource::seconds_waited() const {
    return state_->seconds_waited;
}

}  // namespace moesweep
