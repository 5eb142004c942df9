#include "moesweep/model/experts.h"

#include <ATen/ATen.h>

#include "kernels/tensors.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

bool are_for_kernels(const MoeWeights& moe) {
    return !moe.experts.empty() && kernels::can_multiply(moe.experts[0]);
}

}  // namespace

void run_experts(const MoeWeights& moe, const at::Tensor& x, const at::Tensor& slot_rows,
                 std::span<const std::int64_t> counts, const UseAnswers& use) {
    if (are_for_kernels(moe)) {
        std::vector<std::int32_t> offsets = {0};
        for (const auto count : counts) offsets.push_back(offsets.back() + static_cast<std::int32_t>(count));
        const at::Tensor y =
            kernels::feed_forward(moe.experts, kernels::split(x, slot_rows, moe.precision),
                                  at::tensor(offsets, at::kInt).to(x.device(), /*non_blocking=*/true), moe.precision);
        return use(0, rounded(y, moe.precision));
    }
    std::int64_t begin = 0;
    for (std::size_t e = 0; e < counts.size(); ++e) {
        if (counts[e] == 0) continue;
        use(begin,
            feed_forward(moe.experts[e], x.index_select(0, slot_rows.narrow(0, begin, counts[e])), moe.precision));
        begin += counts[e];
    }
}

at::Tensor contributions(const MoeWeights& moe, const Routing& routing, const at::Tensor& x,
                         const std::function<void()>& between) {
    const std::int64_t N = x.size(0), K = routing.experts.size(1), D = x.size(1);
    const at::Tensor slot_expert = routing.experts.reshape({N * K}), slot_weight = routing.weights.reshape({N * K, 1});
    const at::Tensor slots = std::get<1>(at::sort(slot_expert, /*stable=*/true, 0, /*descending=*/false));
    const auto E = static_cast<std::int64_t>(moe.experts.size());
    if (are_for_kernels(moe)) {  // no wait for the device: the counts stay there
        const at::Tensor experts = at::arange(E + 1, at::kLong).to(x.device(), /*non_blocking=*/true);
        const at::Tensor first_slots = at::searchsorted(slot_expert.index_select(0, slots), experts);
        const at::Tensor y =
            kernels::feed_forward(moe.experts, kernels::split(x, at::floor_divide(slots, K), moe.precision),
                                  first_slots.to(at::kInt), moe.precision);
        between();
        return kernels::weigh(y, slots, slot_weight, moe.precision).view({N, K, D});
    }
    const at::Tensor counts = at::bincount(slot_expert, {}, E).cpu();
    const at::Tensor out = at::empty({N * K, D}, x.options());
    run_experts(moe, x, at::floor_divide(slots, K),
                {counts.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(counts.numel())},
                [&](std::int64_t begin, const at::Tensor& y) {
                    const at::Tensor here = slots.narrow(0, begin, y.size(0));
                    out.index_copy_(0, here, weigh(y, slot_weight.index_select(0, here), moe.precision));
                    between();
                });
    return out.view({N, K, D});
}

at::Tensor weigh(at::Tensor answers, const at::Tensor& weights, Precision precision) {
    return rounded(answers.mul_(weights), precision);
}

at::Tensor combine(const MoeWeights& moe, const Routing& routing, const at::Tensor& contributions,
                   const at::Tensor& x) {
    at::Tensor ordered = contributions;
    if (moe.precision == Precision::parity)
        ordered = ordered.take_along_dim(at::argsort(routing.experts, std::int64_t{1}).unsqueeze(-1), 1);
    at::Tensor sum;
    if (!x.is_cpu()) {
        sum = kernels::sum_slots(ordered, moe.precision);
    } else {
        sum = ordered.select(1, 0).clone();
        for (std::int64_t k = 1; k < ordered.size(1); ++k) sum = rounded(sum.add_(ordered.select(1, k)), moe.precision);
    }
    return moe.shared ? rounded(sum.add_(feed_forward(*moe.shared, x, moe.precision)), moe.precision) : sum;
}

}  // namespace moesweep
