// Experts, their weights and their sum against plain loops in double.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "catch_beside_torch.h"
#include "moesweep/model/experts.h"

using namespace moesweep;

namespace {

constexpr std::int64_t D = 14, F = 11, E = 7, K = 3, rows = 150;
constexpr double tolerance = 1e-12;

Mlp draw_mlp(std::int64_t inner, at::ScalarType dtype) {
    const auto options = at::TensorOptions(dtype);
    return {at::randn({2 * inner, D}, options) / 4, at::randn({D, inner}, options) / 4};
}

MoeWeights draw_moe(Precision precision, bool shared) {
    MoeWeights moe;
    moe.precision = precision;
    for (std::int64_t e = 0; e < E; ++e) moe.experts.push_back(draw_mlp(F, activation_dtype(precision)));
    if (shared) moe.shared = draw_mlp(2 * F + 1, activation_dtype(precision));
    return moe;
}

/// K experts and weights for each row; the last expert gets no row.
Routing draw_routing(at::ScalarType dtype) {
    Routing routing;
    routing.experts = at::rand({rows, E - 1}).argsort(std::int64_t{-1}).narrow(1, 0, K).contiguous();
    routing.weights = at::rand({rows, K}, at::TensorOptions(dtype)) + 0.1;
    return routing;
}

/// down(silu(gate x) * up x) of one row.
std::vector<double> swiglu(const Mlp& mlp, const double* x) {
    const std::int64_t inner = mlp.down.size(1);
    std::vector<double> middle, out;
    for (std::int64_t f = 0; f < inner; ++f) {
        double gate = 0, up = 0;
        for (std::int64_t d = 0; d < D; ++d) {
            gate += mlp.gate_up.data_ptr<double>()[f * D + d] * x[d];
            up += mlp.gate_up.data_ptr<double>()[(inner + f) * D + d] * x[d];
        }
        middle.push_back(gate / (1 + std::exp(-gate)) * up);
    }
    for (std::int64_t d = 0; d < D; ++d) {
        out.push_back(0);
        for (std::int64_t f = 0; f < inner; ++f)
            out.back() += mlp.down.data_ptr<double>()[d * inner + f] * middle[static_cast<std::size_t>(f)];
    }
    return out;
}

}  // namespace

TEST_CASE("contributions and their sum are those of the definition", "[experts]") {
    at::manual_seed(1);
    const bool shared = GENERATE(false, true);
    const MoeWeights moe = draw_moe(Precision::fp64, shared);
    const Routing routing = draw_routing(at::kDouble);
    const at::Tensor x = at::randn({rows, D}, at::kDouble);
    int calls = 0;
    const at::Tensor parts = contributions(moe, routing, x, [&] { ++calls; });
    CHECK((calls > 0 && calls < E - 1));  // E - 1 experts got rows, several at once for these are few
    REQUIRE(parts.sizes().vec() == std::vector<std::int64_t>{rows, K, D});
    const at::Tensor before = parts.clone(), sum = combine(moe, routing, parts, x);
    CHECK(at::equal(parts, before));
    for (std::int64_t row = 0; row < rows; ++row) {
        const double* in = x.data_ptr<double>() + row * D;
        std::vector<double> total = shared ? swiglu(*moe.shared, in) : std::vector<double>(std::size_t{D});
        for (std::int64_t k = 0; k < K; ++k) {
            const auto expert = static_cast<std::size_t>(routing.experts[row][k].item<std::int64_t>());
            const auto answer = swiglu(moe.experts[expert], in);
            const auto weight = routing.weights[row][k].item<double>();
            for (std::size_t d = 0; d < std::size_t{D}; ++d) {
                total[d] += weight * answer[d];
                REQUIRE(std::abs(parts[row][k].data_ptr<double>()[d] - weight * answer[d]) <= tolerance);
            }
        }
        for (std::size_t d = 0; d < std::size_t{D}; ++d)
            REQUIRE(std::abs(sum[row].data_ptr<double>()[d] - total[d]) <= tolerance);
    }
}

TEST_CASE("a share of the experts answers the slots that are sent to it", "[experts]") {
    at::manual_seed(2);
    MoeWeights share = draw_moe(Precision::fp64, false);
    share.first_expert = 2;
    share.experts = {share.experts[2], share.experts[3], share.experts[4]};
    const at::Tensor x = at::randn({9, D}, at::kDouble);
    const std::vector<std::int64_t> slot_rows = {8, 0, 0, 3, 3, 8}, counts = {4, 0, 2};
    const std::vector<std::size_t> expert_of = {0, 0, 0, 0, 2, 2};
    std::int64_t answered = 0;
    run_experts(share, x, at::tensor(slot_rows, at::kLong), counts, [&](std::int64_t begin, const at::Tensor& y) {
        CHECK(begin == answered);
        answered += y.size(0);
        for (std::int64_t i = 0; i < y.size(0); ++i) {
            const auto slot = static_cast<std::size_t>(begin + i);
            const auto expected = swiglu(share.experts[expert_of[slot]], x.data_ptr<double>() + slot_rows[slot] * D);
            for (std::size_t d = 0; d < std::size_t{D}; ++d)
                REQUIRE(std::abs(y[i].data_ptr<double>()[d] - expected[d]) <= tolerance);
        }
    });
    CHECK(answered == 6);
}

TEST_CASE("a row's contributions have the same bits in any company", "[experts]") {
    at::manual_seed(3);
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::parity);
    const MoeWeights moe = draw_moe(precision, true);
    const Routing all = draw_routing(activation_dtype(precision));
    const at::Tensor x = at::randn({rows, D}, all.weights.options()), parts = contributions(moe, all, x);
    for (const auto& [first, count] : {std::pair{0, 1}, {3, 70}, {rows - 2, 2}}) {
        const Routing some{all.experts.narrow(0, first, count), all.weights.narrow(0, first, count), {}};
        const at::Tensor here = x.narrow(0, first, count), its = contributions(moe, some, here);
        CHECK(at::equal(its, parts.narrow(0, first, count)));
        CHECK(at::equal(combine(moe, some, its, here), combine(moe, all, parts, x).narrow(0, first, count)));
    }
}

TEST_CASE("parity sums in the order of the experts and rounds after each", "[experts]") {
    at::manual_seed(4);
    const MoeWeights moe = draw_moe(Precision::parity, false);
    const Routing routing = draw_routing(at::kFloat);
    const at::Tensor x = at::randn({rows, D}), parts = contributions(moe, routing, x),
                     sum = combine(moe, routing, parts, x);
    const auto bf16 = [](float value) { return static_cast<float>(c10::BFloat16(value)); };
    CHECK(at::equal(parts, parts.to(at::kBFloat16).to(at::kFloat)));
    bool order_matters = false;
    for (std::int64_t row = 0; row < rows; ++row) {
        std::vector<std::pair<std::int64_t, std::int64_t>> order;
        for (std::int64_t k = 0; k < K; ++k) order.emplace_back(routing.experts[row][k].item<std::int64_t>(), k);
        std::ranges::sort(order);
        for (std::int64_t d = 0; d < D; ++d) {
            const auto term = [&](std::int64_t k) { return parts[row][k].data_ptr<float>()[d]; };
            float by_expert = term(order[0].second), by_slot = term(0);
            for (std::size_t k = 1; k < order.size(); ++k) {
                by_expert = bf16(by_expert + term(order[k].second));
                by_slot = bf16(by_slot + term(static_cast<std::int64_t>(k)));
            }
            REQUIRE(sum[row].data_ptr<float>()[d] == by_expert);
            order_matters = order_matters || by_slot != by_expert;
        }
    }
    CHECK(order_matters);
}
