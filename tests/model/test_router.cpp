// The router against plain loops in double: every kind, with and without bans.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "catch_beside_torch.h"
#include "moesweep/model/router.h"
#include "support.h"

using namespace moesweep;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t D = 10, rows = 150;  // more than two tiles of rows

struct Routed {
    std::vector<std::int64_t> experts;
    std::vector<double> weights;
    double gap;
};

struct Kind {
    const char* name;
    Score score;
    std::int64_t experts, per_token, groups = 1, best_groups = 1;
    bool norm = true;
    double scale = 1;
};
const Kind kinds[] = {
    {"softmax as Mixtral's", Score::softmax, 8, 2},
    {"softmax without renormalised weights", Score::softmax, 12, 4, 1, 1, false},
    {"softmax that routes to all", Score::softmax, 4, 4},
    {"sigmoid", Score::sigmoid, 9, 3, 1, 1, true, 2.5},
    {"sigmoid with groups", Score::sigmoid, 24, 4, 6, 3, true, 1.7},
    {"sigmoid with groups of two", Score::sigmoid, 16, 2, 8, 4, false, 0.5},
    {"sigmoid with all groups", Score::sigmoid, 12, 3, 3, 3, false},
};

Router config_of(const Kind& kind) {
    return {.num_experts = kind.experts,
            .num_experts_per_tok = kind.per_token,
            .score = kind.score,
            .norm_topk_prob = kind.norm,
            .routed_scaling_factor = kind.scale,
            .n_group = kind.groups,
            .topk_group = kind.best_groups};
}

MoeWeights router_of(const Kind& kind, Precision precision) {
    const auto options = at::TensorOptions(activation_dtype(precision));
    MoeWeights moe;
    moe.precision = precision;
    moe.router = at::randn({kind.experts, D}, options);
    if (kind.score == Score::sigmoid) moe.correction_bias = at::randn({kind.experts}, options) * 0.3;
    return moe;
}

std::vector<std::size_t> descending(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    return order;
}

/// One row by the definition: x [D] and banned [E].
Routed naive(const Kind& kind, const MoeWeights& moe, const double* x, const std::vector<bool>& banned) {
    const auto E = static_cast<std::size_t>(kind.experts), K = static_cast<std::size_t>(kind.per_token),
               G = static_cast<std::size_t>(kind.groups);
    std::vector<double> scores(E), choice(E);
    double total = 0;
    for (std::size_t e = 0; e < E; ++e) {
        for (std::int64_t d = 0; d < D; ++d)
            scores[e] += moe.router.data_ptr<double>()[static_cast<std::int64_t>(e) * D + d] * x[d];
        scores[e] = kind.score == Score::softmax ? std::exp(scores[e]) : 1 / (1 + std::exp(-scores[e]));
        total += scores[e];
    }
    for (std::size_t e = 0; e < E; ++e) {
        if (kind.score == Score::softmax) scores[e] /= total;  // over all, banned or not
        const double bias = moe.correction_bias.defined() ? moe.correction_bias.data_ptr<double>()[e] : 0;
        choice[e] = banned[e] ? -infinity : scores[e] + bias;
    }
    std::vector<double> group_scores(G, -infinity);
    for (std::size_t g = 0; g < G; ++g) {
        std::vector<double> left;
        for (std::size_t e = g * E / G; e < (g + 1) * E / G; ++e)
            if (!banned[e]) left.push_back(choice[e]);
        std::ranges::sort(left, std::greater());
        if (!left.empty()) group_scores[g] = left[0] + (left.size() > 1 ? left[1] : 0);
    }
    const auto groups = descending(group_scores);
    for (std::size_t place = static_cast<std::size_t>(kind.best_groups); place < G; ++place)
        for (std::size_t e = groups[place] * E / G; e < (groups[place] + 1) * E / G; ++e) choice[e] = -infinity;

    const auto order = descending(choice);
    Routed routed{{}, {}, K < E ? choice[order[K - 1]] - choice[order[K]] : infinity};
    double sum = 0;
    for (std::size_t k = 0; k < K; ++k) sum += scores[order[k]];
    std::vector<double> weights;
    for (std::size_t k = 0; k < K; ++k) weights.push_back(scores[order[k]] / (kind.norm ? sum : 1) * kind.scale);
    for (const std::size_t k : descending(weights)) {
        routed.experts.push_back(static_cast<std::int64_t>(order[k]));
        routed.weights.push_back(weights[k]);
    }
    return routed;
}

/// Random bans [rows, E] that leave every row enough: in the first row as many as can be, in the last none.
at::Tensor draw_bans(const Router& config) {
    const std::int64_t E = config.num_experts;
    const at::Tensor banned = at::zeros({rows, E}, at::kBool), order = at::rand({rows, E}).argsort(std::int64_t{-1});
    for (std::int64_t row = 0; row + 1 < rows; ++row) {
        std::vector<bool> bans(static_cast<std::size_t>(E));
        for (std::int64_t i = 0; i < (row == 0 ? E : row % E); ++i) {
            const auto e = order[row][i].item<std::int64_t>();
            bans[static_cast<std::size_t>(e)] = true;
            if (choosable_experts(config, bans) < config.num_experts_per_tok) bans[static_cast<std::size_t>(e)] = false;
        }
        for (std::int64_t e = 0; e < E; ++e) banned[row][e].fill_(static_cast<bool>(bans[static_cast<std::size_t>(e)]));
    }
    return banned;
}

std::vector<bool> bans_of(const at::Tensor& banned, std::int64_t row) {
    const bool* begin = banned.data_ptr<bool>() + row * banned.size(1);
    return std::vector<bool>(begin, begin + banned.size(1));
}

}  // namespace

TEST_CASE("every kind of router chooses and weighs as defined, bans or none", "[router]") {
    at::manual_seed(3);
    for (const Kind& kind : kinds) {
        INFO(kind.name);
        const Router config = config_of(kind);
        const MoeWeights moe = router_of(kind, Precision::fp64);
        const at::Tensor x = at::randn({rows, D}, at::kDouble), nothing = at::zeros({rows, kind.experts}, at::kBool);
        for (const at::Tensor& banned : {at::Tensor(), nothing, draw_bans(config)}) {
            const Routing routing = route(moe, config, x, {banned});
            REQUIRE(routing.experts.sizes().vec() == std::vector<std::int64_t>{rows, kind.per_token});
            for (std::int64_t row = 0; row < rows; ++row) {
                const auto bans = bans_of(banned.defined() ? banned : nothing, row);
                const Routed expected = naive(kind, moe, x.data_ptr<double>() + row * D, bans);
                INFO("row " << row);
                for (std::int64_t k = 0; k < kind.per_token; ++k) {
                    const auto slot = static_cast<std::size_t>(k);
                    REQUIRE(routing.experts[row][k].item<std::int64_t>() == expected.experts[slot]);
                    REQUIRE(!bans[static_cast<std::size_t>(expected.experts[slot])]);
                    REQUIRE(std::abs(routing.weights[row][k].item<double>() - expected.weights[slot]) <= 1e-12);
                }
                const auto gap = routing.gap[row].item<double>();
                REQUIRE((gap == expected.gap || std::abs(gap - expected.gap) <= 1e-12));
                REQUIRE(gap >= 0);
            }
        }
    }
}

TEST_CASE("a row's routing has the same bits in any company", "[router]") {
    at::manual_seed(4);
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::parity);
    for (const Kind& kind : kinds) {
        INFO(kind.name);
        const Router config = config_of(kind);
        const MoeWeights moe = router_of(kind, precision);
        const at::Tensor x = at::randn({rows, D}, moe.router.options()), banned = draw_bans(config);
        const Routing all = route(moe, config, x, {banned});
        for (const auto& [first, count] : {std::pair{0, 1}, {1, 70}, {rows - 3, 3}}) {
            const Routing some = route(moe, config, x.narrow(0, first, count), {banned.narrow(0, first, count)});
            CHECK(at::equal(some.experts, all.experts.narrow(0, first, count)));
            CHECK(at::equal(some.weights, all.weights.narrow(0, first, count)));
            CHECK(at::equal(some.gap, all.gap.narrow(0, first, count)));
        }
        // Where nothing is banned, a mask changes no bit.
        const Routing unmasked = route(moe, config, x), masked = route(moe, config, x, {at::zeros_like(banned)});
        CHECK(at::equal(masked.experts, unmasked.experts));
        CHECK(at::equal(masked.weights, unmasked.weights));
        CHECK(at::equal(masked.gap, unmasked.gap));
    }
}

TEST_CASE("parity rounds the weights to bf16 in the family that does so, and in no other", "[router]") {
    at::manual_seed(5);
    Router config = config_of(kinds[0]);
    const MoeWeights moe = router_of(kinds[0], Precision::parity);
    const at::Tensor x = at::randn({rows, D});
    const at::Tensor kept = route(moe, config, x).weights;
    config.weights_in_model_dtype = true;
    const at::Tensor rounded = route(moe, config, x).weights;
    CHECK(at::equal(rounded, kept.to(at::kBFloat16).to(at::kFloat)));
    CHECK(!at::equal(rounded, kept));
}

TEST_CASE("how many experts bans leave, and a row that has too few", "[router]") {
    const Kind grouped{"", Score::sigmoid, 8, 3, 4, 2};
    const Router config = config_of(grouped), softmax = config_of(kinds[0]);
    const std::vector<bool> none(8);
    CHECK((choosable_experts(config, none) == 4 && choosable_experts(softmax, none) == 8));
    const std::vector<bool> one = {true, false, false, false, false, false, false, false};
    CHECK((choosable_experts(config, one) == 3 && choosable_experts(softmax, one) == 7));
    const std::vector<bool> group = {true, true, false, false, false, false, false, true};
    CHECK((choosable_experts(config, group) == 1 && choosable_experts(softmax, group) == 5));

    const MoeWeights moe = router_of(kinds[0], Precision::fp32);
    const at::Tensor x = at::randn({3, D}), banned = at::zeros({3, 8}, at::kBool);
    banned[1].narrow(0, 0, 6).fill_(true);
    CHECK(route(moe, softmax, x, {banned}).gap[1].item<float>() == infinity);  // two experts are left for two places
    banned[1].narrow(0, 0, 7).fill_(true);
    const Failure failure = failure_of([&] { route(moe, softmax, x, {banned}); });
    CHECK(failure.code == Exit::internal);
    CHECK(failure.message == "fewer than 2 experts are left to a row by its bans");
}

TEST_CASE("a logit that is replaced counts as what replaced it", "[router]") {
    const Kind& kind = kinds[GENERATE(range(std::size_t{0}, std::size(kinds)))];
    const bool least = GENERATE(false, true);
    INFO(kind.name);
    if (kind.experts == kind.per_token) return;
    at::manual_seed(9);
    const Router router = config_of(kind);
    const MoeWeights moe = router_of(kind, Precision::fp64);
    const at::Tensor x = at::randn({rows, D}, at::kDouble), without = draw_bans(router);
    const Routing got = route(moe, router, x, {without, least ? Deactivation::minimum : Deactivation::minus_infinity});

    // The same of a router that gives such logits by itself: inputs are unit vectors, its columns the logits.
    const at::Tensor logits = x.matmul(moe.router.t());
    const at::Tensor replaced =
        at::where(without, least ? logits.amin(-1, true) : at::full({rows, 1}, -infinity, at::kDouble), logits);
    const at::Tensor scores = kind.score == Score::softmax ? at::softmax(replaced, -1) : at::sigmoid(replaced);
    at::Tensor weights = scores.gather(1, got.experts);
    if (kind.norm) weights = weights / weights.sum(-1, true);
    CHECK(at::allclose(got.weights, weights * kind.scale, 1e-12, 1e-14));
    if (kind.groups > 1) return;
    const at::Tensor choice = moe.correction_bias.defined() ? scores + moe.correction_bias : scores;
    const at::Tensor best = std::get<1>(at::topk(choice, kind.per_token, -1));
    CHECK(at::equal(std::get<0>(at::sort(best, 1)), std::get<0>(at::sort(got.experts, 1))));
}

TEST_CASE("softmax scores with renormalised weights are the same by all ways to deactivate", "[router]") {
    at::manual_seed(10);
    const Router router = config_of(kinds[0]);
    const MoeWeights moe = router_of(kinds[0], Precision::fp64);
    const at::Tensor x = at::randn({rows, D}, at::kDouble), without = draw_bans(router);
    const Routing ban = route(moe, router, x, {without});
    for (const Deactivation by : {Deactivation::minimum, Deactivation::minus_infinity}) {
        const Routing other = route(moe, router, x, {without, by});
        const at::Tensor free = without.logical_not().sum(1) > router.num_experts_per_tok;  // or the least ties
        REQUIRE(free.sum().item<std::int64_t>() > rows / 2);
        CHECK(at::equal(other.experts.index({free}), ban.experts.index({free})));
        CHECK(at::allclose(other.weights.index({free}), ban.weights.index({free}), 1e-12, 0));
    }
}
