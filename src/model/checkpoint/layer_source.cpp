#include "moesweep/model/layer_source.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <limits>

#include "layer_reader.h"
#include "moesweep/model/device_errors.h"
#include "stored_form.h"
#include "upload.h"

namespace moesweep {

/// Layer l lies in memory[l] if resident. Streamed, the layers take turns in memory[l % 2]: the next one never lies
/// where the one in use does. Off the CPU layer l is read into staging[l % 2] and uploads[l % 2] copies it to its
/// memory.
struct LayerSource::State {
    ExpertShare share;
    bool streamed;
    LayerReader reader;
    std::int64_t memory_bytes = 0;
    double seconds_waited = 0;
    std::vector<at::Tensor> memory, staging;
    std::vector<LayerPlan> plans;
    std::vector<Upload> uploads;  // none on the CPU

    static constexpr std::int64_t none = -1;
    std::int64_t ahead = none;  // the layer that the thread reads or has read
    std::stop_source stop;
    std::future<void> reading;

    State(ExpertShare share_, bool streamed_) : share(share_), streamed(streamed_), reader(streamed_) {}
    ~State() {
        stop.request_stop();
        if (reading.valid()) reading.wait();
        for (Upload& upload : uploads) upload.finish();  // its memory goes away
    }

    /// Memory for all layers or for two of them, and the plans that lie in it.
    void allocate(const Weights& weights) {
        const std::int64_t layers = weights.config().num_hidden_layers;
        std::vector<std::int64_t> sizes;
        for (std::int64_t l = 0; l < layers; ++l) sizes.push_back(plan_layer(weights, l, share).bytes);
        if (streamed) sizes.assign(2, *std::ranges::max_element(sizes));
        for (const std::int64_t bytes : sizes) {
            memory.push_back(weights.device().is_cpu()
                                 ? map_memory(bytes)
                                 : at::empty({bytes}, at::TensorOptions(at::kByte).device(weights.device())));
            memory_bytes += bytes;
        }
        for (std::int64_t l = 0; l < layers; ++l) plans.push_back(plan_layer(weights, l, share, memory_of(l)));
    }

    const at::Tensor& memory_of(std::int64_t layer) const {
        return memory[static_cast<std::size_t>(layer) % memory.size()];
    }
    const LayerPlan& plan_of(std::int64_t layer) const { return plans[static_cast<std::size_t>(layer)]; }
    Upload& upload_of(std::int64_t layer) { return uploads[static_cast<std::size_t>(layer) % uploads.size()]; }

    /// Puts a layer into its memory, or has it on the way there.
    void read(std::int64_t layer, const std::stop_token& token = {}) {
        const c10::InferenceMode no_autograd;  // the memory may come from a thread in that mode, and this be another
        if (uploads.empty()) return reader.read(plan_of(layer), memory_of(layer), token);
        const at::Tensor& host = staging[static_cast<std::size_t>(layer) % staging.size()];
        upload_of(layer).finish();
        reader.read(plan_of(layer), host, token);
        if (token.stop_requested()) return;
        const std::int64_t bytes = plan_of(layer).bytes;
        upload_of(layer).start(host.narrow(0, 0, bytes), memory_of(layer).narrow(0, 0, bytes));
    }

    /// The computing thread has done with the layer before, which the next but one will replace.
    void start(std::int64_t layer) {
        if (!uploads.empty()) upload_of(layer).release();
        stop = std::stop_source();
        reading = std::async(std::launch::async, [this, layer, token = stop.get_token()] { read(layer, token); });
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
    on_device(weights.device(), [&] { open(weights); });
}

/// Memory, and all layers in it if resident.
void LayerSource::open(const Weights& weights) {
    State& s = *state_;
    s.allocate(weights);
    const bool on_cpu = weights.device().is_cpu();
    const std::int64_t largest = std::ranges::max(s.plans, {}, &LayerPlan::bytes).bytes;
    for (int i = 0; i < 2 && !on_cpu; ++i) {
        s.staging.push_back(staging_memory(largest, weights.device()));
        s.uploads.emplace_back(weights.device());
    }
    if (s.streamed && on_cpu) s.memory_bytes += s.reader.memory_bytes();
    if (s.streamed) return;
    for (std::size_t l = 0; l < s.plans.size(); ++l) s.read(static_cast<std::int64_t>(l));
    for (Upload& upload : s.uploads) upload.finish();
    s.uploads.clear();
    s.staging.clear();
}

LayerSource::LayerSource(const Weights& weights, ExpertShare share, const Make& make)
    : state_(std::make_unique<State>(share, /*streamed=*/false)) {
    State& s = *state_;
    s.allocate(weights);
    for (std::size_t l = 0; l < s.plans.size(); ++l)
        for (const Part& part : s.plans[l].parts) {
            const auto elements = element_count(*part.view);
            const at::Tensor bytes =
                s.memory[l].narrow(0, part.to, elements * static_cast<std::int64_t>(at::elementSize(part.dtype)));
            make(part.view->name, bytes.view(part.dtype).view(part.view->shape));
        }
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
        if (!s.uploads.empty()) s.upload_of(index).wait();
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
