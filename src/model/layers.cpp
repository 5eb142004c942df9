#include "moesweep/model/layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/tensors.h"
#include "products.h"

namespace moesweep {
namespace {

/// Rows of a product. A device wants many in one launch.
std::int64_t tile_rows(const at::Tensor& x) {
    return x.is_cpu() ? row_tile : device_row_tile;
}

/// x [n, in] with zero rows added up to a whole number of tiles.
at::Tensor pad_rows(const at::Tensor& x) {
    const std::int64_t n = x.size(0), tile = tile_rows(x), padded = (n + tile - 1) / tile * tile;
    if (padded == n) return x.contiguous();
    const at::Tensor out = at::zeros({padded, x.size(1)}, x.options());
    out.narrow(0, 0, n).copy_(x);
    return out;
}

at::Tensor to_bf16_and_back(const at::Tensor& x) {
    return x.to(at::kBFloat16).to(x.scalar_type());
}

/// x as it meets a matrix of that dtype: rounded to bf16 where the matrix is bf16, but not in split.
at::Tensor factor(const at::Tensor& x, at::ScalarType matrix, Precision precision) {
    return matrix == at::kBFloat16 && precision != Precision::split ? to_bf16_and_back(x) : x;
}

/// The product x [n, in] weight [out, in]^T tile by tile; x holds whole tiles. All tiles use one block of the weight
/// before the next one is fetched from memory: a block stays in the cache, a whole expert of Mixtral does not.
at::Tensor multiply_tiles(const at::Tensor& x, const at::Tensor& weight, Precision precision) {
    const std::int64_t columns = weight.size(0), block = x.is_cpu() ? 512 : columns, height = tile_rows(x);
    const at::Tensor left = factor(x, weight.scalar_type(), precision);
    at::Tensor out = at::empty({x.size(0), columns}, x.options());
    for (std::int64_t column = 0; column < columns; column += block) {
        const std::int64_t width = std::min(block, columns - column);
        const at::Tensor rows = weight.narrow(0, column, width).to(x.scalar_type());
        const at::Tensor part = out.narrow(1, column, width);
        for (std::int64_t row = 0; row < x.size(0); row += height)
            multiply(left.narrow(0, row, height), rows, part.narrow(0, row, height));
    }
    return out;
}

/// The same for whole tiles of rows in, whole tiles out.
at::Tensor feed_forward_tiles(const Mlp& mlp, const at::Tensor& x, Precision precision) {
    const at::Tensor gate_up = held(multiply_tiles(x, mlp.gate_up, precision), precision);
    const std::int64_t F = mlp.down.size(1);
    at::Tensor gate = gate_up.narrow(1, 0, F).contiguous();
    gate = held(at::silu_(gate), precision).mul_(gate_up.narrow(1, F, F));
    return held(multiply_tiles(held(gate, precision), mlp.down, precision), precision);
}

bool are_for_kernels(const MoeWeights& moe) {
    return !moe.experts.empty() && kernels::can_multiply(moe.experts[0].gate_up) &&
           kernels::can_multiply(moe.experts[0].down);
}

}  // namespace

at::Tensor held(const at::Tensor& x, Precision precision) {
    return precision == Precision::parity ? to_bf16_and_back(x) : x;
}

at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Precision precision) {
    const at::Tensor out =
        kernels::can_multiply(weight)
            ? kernels::multiply(kernels::split(x, {}, precision), {weight}, kernels::one_group(x.size(0), x.device()))
            : multiply_tiles(pad_rows(x), weight, precision).narrow(0, 0, x.size(0));
    return held(bias.defined() ? out + bias : out, precision);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, Precision precision) {
    if (!x.is_cpu()) return kernels::rms_norm(x, weight, eps, precision);
    const at::Tensor scaled = x * at::rsqrt(at::pow(x, 2).mean(-1, /*keepdim=*/true) + eps);
    return held(held(scaled, precision) * weight, precision);
}

at::Tensor feed_forward(const Mlp& mlp, const at::Tensor& x, Precision precision) {
    if (kernels::can_multiply(mlp.gate_up) && kernels::can_multiply(mlp.down))
        return held(kernels::feed_forward({&mlp, 1}, kernels::split(x, {}, precision),
                                          kernels::one_group(x.size(0), x.device()), precision),
                    precision);
    return feed_forward_tiles(mlp, pad_rows(x), precision).narrow(0, 0, x.size(0));
}

Rotary::Rotary(const ModelConfig& config, std::int64_t length, Precision precision_, c10::Device device)
    : precision(precision_) {
    // Element by element: a table's entry must not depend on the table's length (see route).
    const std::int64_t half = config.rotary_dim / 2;
    const at::Tensor cosines = at::empty({length, half}, at::kDouble), sines = at::empty_like(cosines);
    for (std::int64_t position = 0; position < length; ++position) {
        for (std::int64_t i = 0; i < half; ++i) {
            const double frequency = std::pow(config.rope_theta, -2.0 * double(i) / double(config.rotary_dim));
            cosines.data_ptr<double>()[position * half + i] = std::cos(double(position) * frequency);
            sines.data_ptr<double>()[position * half + i] = std::sin(double(position) * frequency);
        }
    }
    const at::ScalarType dtype = activation_dtype(precision);
    cos = held(cosines.to(dtype), precision).to(device);
    sin = held(sines.to(dtype), precision).to(device);
}

at::Tensor Rotary::rotate(const at::Tensor& x, const at::Tensor& positions) const {
    const at::Tensor c = cos.index_select(0, positions).unsqueeze(1), s = sin.index_select(0, positions).unsqueeze(1);
    const std::int64_t half = cos.size(1);
    const at::Tensor first = x.narrow(2, 0, half), second = x.narrow(2, half, half);
    const auto times = [&](const at::Tensor& a, const at::Tensor& b) { return held(a * b, precision); };
    return at::cat({held(times(first, c) - times(second, s), precision),
                    held(times(second, c) + times(first, s), precision), x.narrow(2, 2 * half, x.size(2) - 2 * half)},
                   2);
}

Routing route(const MoeWeights& moe, const ModelConfig& config, const at::Tensor& x) {
    const std::int64_t K = config.num_experts_per_tok, E = config.num_experts, N = x.size(0);
    // The scores of whole tiles: ATen computes the odd elements at the end of a tensor by another exp than the others.
    const at::Tensor logits = multiply_tiles(pad_rows(x), moe.router, moe.precision);
    const at::Tensor scores =
        (config.router == Router::softmax ? at::softmax(held(logits, moe.precision), -1) : at::sigmoid(logits))
            .narrow(0, 0, N);
    at::Tensor choice = scores;  // what the selection compares: biased and restricted to groups, never used as a weight
    if (moe.correction_bias.defined()) choice = choice + moe.correction_bias;
    if (config.topk_group < config.n_group) {
        const at::Tensor groups = choice.view({N, config.n_group, E / config.n_group});
        const at::Tensor group_scores = std::get<0>(at::topk(groups, 2, -1)).sum(-1);
        const at::Tensor best = std::get<1>(at::topk(group_scores, config.topk_group, -1));
        const at::Tensor closed = at::full({N, config.n_group}, -std::numeric_limits<double>::infinity(), x.options());
        choice = (groups + closed.scatter(1, best, 0.0).unsqueeze(-1)).view({N, E});
    }

    const auto [best, order] = at::topk(choice, std::min(K + 1, E), -1);
    Routing routing;
    routing.experts = order.narrow(1, 0, K).contiguous();
    routing.weights = scores.gather(1, routing.experts);
    routing.gap = K < E ? best.select(1, K - 1) - best.select(1, K)
                        : at::full({N}, std::numeric_limits<double>::infinity(), x.options());
    if (config.router == Router::sigmoid) {  // the bias may have put them in another order than their weights
        const at::Tensor by_weight = std::get<1>(at::sort(routing.weights, /*stable=*/true, 1, /*descending=*/true));
        routing.experts = routing.experts.gather(1, by_weight);
        routing.weights = routing.weights.gather(1, by_weight);
    }
    if (config.norm_topk_prob) routing.weights = routing.weights / routing.weights.sum(-1, /*keepdim=*/true);
    routing.weights = routing.weights * config.routed_scaling_factor;
    if (config.weights_in_model_dtype) routing.weights = held(routing.weights, moe.precision);
    return routing;
}

void run_experts(const MoeWeights& moe, const at::Tensor& x, const at::Tensor& slot_rows,
                 std::span<const std::int64_t> counts, const UseAnswers& use) {
    if (are_for_kernels(moe)) {
        std::vector<std::int32_t> offsets = {0};
        for (const auto count : counts) offsets.push_back(offsets.back() + static_cast<std::int32_t>(count));
        const at::Tensor y =
            kernels::feed_forward(moe.experts, kernels::split(x, slot_rows, moe.precision),
                                  at::tensor(offsets, at::kInt).to(x.device(), /*non_blocking=*/true), moe.precision);
        return use(0, held(y, moe.precision));
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
    return held(answers.mul_(weights), precision);
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
        for (std::int64_t k = 1; k < ordered.size(1); ++k) sum = held(sum.add_(ordered.select(1, k)), moe.precision);
    }
    return moe.shared ? held(sum.add_(feed_forward(*moe.shared, x, moe.precision)), moe.precision) : sum;
}

at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which) {
    if (!a.is_cpu()) return kernels::dot_rows(a, b, which);
    return (a.to(at::kDouble) * b.index_select(0, which)).sum(-1);
}

at::Tensor row_norms(const at::Tensor& x) {
    if (x.is_cpu()) return at::linalg_vector_norm(x.to(at::kDouble), 2, at::IntArrayRef{-1});
    const at::Tensor rows = x.reshape({-1, x.size(-1)});
    return kernels::dot_rows(rows, rows, {}).sqrt().view(x.sizes().slice(0, static_cast<std::size_t>(x.dim() - 1)));
}

}  // namespace moesweep
