#include "moesweep/model/router.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "moesweep/base/error.h"
#include "moesweep/model/row_arithmetic.h"
#include "tiles.h"

namespace moesweep {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

/// Closes all groups of a row's choice [N, E] but its topk_group best: a group's score is the sum of its two best
/// experts, of those that are not banned.
at::Tensor within_best_groups(const at::Tensor& choice, const Router& router) {
    const std::int64_t N = choice.size(0);
    const at::Tensor groups = choice.view({N, router.n_group, router.num_experts / router.n_group});
    const at::Tensor best_two = std::get<0>(at::topk(groups, 2, -1)), second = best_two.select(-1, 1);
    const at::Tensor scores = best_two.select(-1, 0) + second.masked_fill(second == minus_infinity, 0);
    const at::Tensor best = std::get<1>(at::topk(scores, router.topk_group, -1));
    const at::Tensor closed = at::full({N, router.n_group}, minus_infinity, choice.options());
    return (groups + closed.scatter(1, best, 0.0).unsqueeze(-1)).view(choice.sizes());
}

/// The logits of the first rows of whole tiles, of which some are replaced in place.
void deactivate(const at::Tensor& logits, const Deactivated& deactivated) {
    const at::Tensor rows = logits.narrow(0, 0, deactivated.experts.size(0));
    if (deactivated.by == Deactivation::minus_infinity)
        rows.masked_fill_(deactivated.experts, minus_infinity);
    else
        rows.copy_(at::where(deactivated.experts, rows.amin(-1, /*keepdim=*/true), rows));
}

}  // namespace

Routing route(const MoeWeights& moe, const Router& router, const at::Tensor& x, const Deactivated& deactivated) {
    const std::int64_t K = router.num_experts_per_tok, E = router.num_experts, N = x.size(0);
    // The scores of whole tiles: ATen computes the odd elements at the end of a tensor by another exp than the others.
    const at::Tensor logits = multiply_tiles(pad_rows(x), moe.router, moe.precision);
    const bool by_ban = deactivated.by == Deactivation::ban;
    const at::Tensor banned = by_ban ? deactivated.experts : at::Tensor();
    if (deactivated.experts.defined() && !by_ban) deactivate(logits, deactivated);
    const at::Tensor scores =
        (router.score == Score::softmax ? at::softmax(rounded(logits, moe.precision), -1) : at::sigmoid(logits))
            .narrow(0, 0, N);
    at::Tensor choice = scores;  // what the selection compares, never used as a weight
    if (moe.correction_bias.defined()) choice = choice + moe.correction_bias;
    if (banned.defined()) choice = choice.masked_fill(banned, minus_infinity);
    if (router.topk_group < router.n_group) choice = within_best_groups(choice, router);

    const auto [best, order] = at::topk(choice, std::min(K + 1, E), -1);
    if (banned.defined() && (best.select(1, K - 1) == minus_infinity).any().item<bool>())
        fail(Exit::internal, "fewer than {} experts are left to a row by its bans", K);
    Routing routing;
    routing.experts = order.narrow(1, 0, K).contiguous();
    routing.weights = scores.gather(1, routing.experts);
    routing.gap = K < E ? best.select(1, K - 1) - best.select(1, K) : at::full({N}, -minus_infinity, x.options());
    if (router.score == Score::sigmoid) {  // the bias may have put them in another order than their weights
        const at::Tensor by_weight = std::get<1>(at::sort(routing.weights, /*stable=*/true, 1, /*descending=*/true));
        routing.experts = routing.experts.gather(1, by_weight);
        routing.weights = routing.weights.gather(1, by_weight);
    }
    if (router.norm_topk_prob) routing.weights = routing.weights / routing.weights.sum(-1, /*keepdim=*/true);
    routing.weights = routing.weights * router.routed_scaling_factor;
    if (router.weights_in_model_dtype) routing.weights = rounded(routing.weights, moe.precision);
    return routing;
}

std::int64_t choosable_experts(const Router& router, const std::vector<bool>& banned) {
    const std::int64_t size = router.num_experts / router.n_group;
    std::vector<std::int64_t> left(static_cast<std::size_t>(router.n_group));
    for (std::size_t e = 0; e < banned.size(); ++e)
        if (!banned[e]) ++left[e / static_cast<std::size_t>(size)];
    std::ranges::sort(left);
    return std::accumulate(left.begin(), left.begin() + router.topk_group, std::int64_t{0});
}

}  // namespace moesweep
