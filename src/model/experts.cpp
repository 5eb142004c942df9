#include "moesweep/model/experts.h"

#include <ATen/ATen.h>

#include "kernels/tensors.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

bool are_for_kernels(const MoeWeights& moe) {
    return !moe.experts.empty() && kernels::can_multiply(moe.experts[0]);
}

/// The slots of neighbouring experts as whole tiles of rows, so that they are gathered at once: with few rows to an
/// expert, as in decoding, gathering them one by one takes as long as the products. An expert with many rows is alone.
struct Tiles {
    static constexpr std::int64_t most_slots = 256, most_rows = 1024;
    std::size_t first, end;            // the experts [first, end)
    std::vector<std::int64_t> rows;    // of each expert, padding included
    std::vector<std::int64_t> slots;   // of each row; padding repeats the one before
    std::vector<std::int64_t> filled;  // the rows that are no padding

    Tiles(std::span<const std::int64_t> counts, std::size_t first_expert, std::int64_t begin)
        : first(first_expert), end(first_expert) {
        std::int64_t total = 0, slot = begin;
        for (; end < counts.size(); ++end) {
            const std::int64_t count = counts[end], padded = (count + row_tile - 1) / row_tile * row_tile;
            const bool too_many = std::ssize(filled) + count > most_slots || total + padded > most_rows;
            if (total > 0 && count > 0 && too_many) break;
            for (std::int64_t i = 0; i < count; ++i) {
                filled.push_back(total + i);
                slots.push_back(slot++);
            }
            slots.resize(static_cast<std::size_t>(total += padded), slot - 1);
            rows.push_back(padded);
        }
    }
};

at::Tensor to_tensor(const std::vector<std::int64_t>& values, c10::Device device) {
    return at::tensor(values, at::kLong).to(device);
}

/// The answers of the tiles' experts to their rows, without padding, by slot.
at::Tensor run_tiles(const MoeWeights& moe, const at::Tensor& x, const at::Tensor& slot_rows, const Tiles& tiles) {
    const at::Tensor gathered = x.index_select(0, slot_rows.index_select(0, to_tensor(tiles.slots, x.device())));
    std::vector<at::Tensor> answers;
    std::int64_t row = 0;
    for (std::size_t e = tiles.first; e < tiles.end; row += tiles.rows[e++ - tiles.first])
        if (const std::int64_t rows = tiles.rows[e - tiles.first]; rows > 0)
            answers.push_back(feed_forward(moe.experts[e], gathered.narrow(0, row, rows), moe.precision));
    const auto filled = static_cast<std::int64_t>(tiles.filled.size());
    if (answers.size() == 1) return answers[0].narrow(0, 0, filled);
    return at::cat(answers).index_select(0, to_tensor(tiles.filled, x.device()));
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
    for (std::size_t e = 0; e < counts.size();) {
        const Tiles tiles(counts, e, begin);
        if (!tiles.slots.empty()) use(begin, run_tiles(moe, x, slot_rows, tiles));
        begin += static_cast<std::int64_t>(tiles.filled.size());
        e = tiles.end;
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
