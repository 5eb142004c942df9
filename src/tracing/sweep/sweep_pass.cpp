#include "moesweep/tracing/sweep_pass.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <deque>

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

}  // namespace

at::Tensor subject_noise(std::int64_t subject_tokens, std::int64_t hidden_size, double sigma, std::int64_t seed) {
    const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
    return at::randn({subject_tokens, hidden_size}, generator, at::kFloat) * sigma;
}

std::optional<PassResult> run_pass(const Engine& engine, std::span<const PassCase> cases, const PassPlan& plan,
                                   Traffic* traffic) {
    const c10::InferenceMode no_autograd;
    Traffic unasked;
    std::optional<PassResult> result;
    on_device(engine.weights.device(), [&] {
        std::deque<MicroBatch> batches = cut(engine.weights, cases, plan);
        if (pass_layers(engine, batches, plan.control, traffic ? *traffic : unasked)) result = join(batches);
    });
    return result;
}

}  // namespace moesweep
