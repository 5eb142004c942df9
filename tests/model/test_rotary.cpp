// The rotary position embedding against its formula in double.
#include <ATen/ATen.h>

#include <cmath>

#include "catch_beside_torch.h"
#include "moesweep/model/layer_weights.h"
#include "moesweep/model/rotary.h"

using namespace moesweep;

namespace {

Rope rotation(std::int64_t rotated, double theta) {
    return {.rotary_dim = rotated, .rope_theta = theta};
}

struct Drawn {
    at::Tensor x, positions;  // [rows, heads, Dh], [rows]
};
Drawn draw(std::int64_t head_dim, std::int64_t length, at::ScalarType dtype = at::kDouble) {
    return {at::randn({40, 3, head_dim}, at::TensorOptions(dtype)), at::randint(length, {40}, at::kLong)};
}

}  // namespace

TEST_CASE("heads are rotated in pairs half a rotation apart, the rest stays", "[rotary]") {
    at::manual_seed(1);
    constexpr std::int64_t length = 300;
    for (const auto& [head_dim, rotated, theta] :
         {std::tuple{8, 8, 1e4}, {64, 32, 1e6}, {128, 128, 5e6}, {10, 2, 1e3}, {128, 64, 1e4}}) {
        INFO(head_dim << ", rotated " << rotated << ", theta " << theta);
        const Rotary rotary(rotation(rotated, theta), length, Precision::fp64);
        const auto [x, positions] = draw(head_dim, length);
        const at::Tensor got = rotary.rotate(x, positions);
        REQUIRE(got.sizes() == x.sizes());
        const std::int64_t half = rotated / 2;
        for (std::int64_t row = 0; row < x.size(0); ++row) {
            const auto position = static_cast<double>(positions[row].item<std::int64_t>());
            for (std::int64_t h = 0; h < x.size(1); ++h) {
                const double *before = x[row][h].data_ptr<double>(), *after = got[row][h].data_ptr<double>();
                for (std::int64_t i = 0; i < half; ++i) {
                    const double angle = position / std::pow(theta, double(2 * i) / double(rotated));
                    const double real = before[i] * std::cos(angle) - before[i + half] * std::sin(angle);
                    const double imaginary = before[i] * std::sin(angle) + before[i + half] * std::cos(angle);
                    REQUIRE(std::abs(after[i] - real) <= 1e-12);
                    REQUIRE(std::abs(after[i + half] - imaginary) <= 1e-12);
                }
                for (std::int64_t i = rotated; i < head_dim; ++i) REQUIRE(after[i] == before[i]);
            }
        }
        CHECK(at::equal(rotary.rotate(x, at::zeros_like(positions)), x));
    }
}

TEST_CASE("a product of rotated heads depends on how far apart they are", "[rotary]") {
    at::manual_seed(2);
    const Rotary rotary(rotation(16, 1e4), 200, Precision::fp64);
    const auto [q, at_q] = draw(16, 50);
    const auto [k, at_k] = draw(16, 50);
    const auto product = [&](std::int64_t shift) {
        return (rotary.rotate(q, at_q + shift) * rotary.rotate(k, at_k + shift)).sum(-1);
    };
    CHECK((product(140) - product(0)).abs().max().item<double>() <= 1e-12);
    const at::Tensor elsewhere = (rotary.rotate(q, at_q + 1) * rotary.rotate(k, at_k)).sum(-1);
    CHECK((elsewhere - product(0)).abs().max().item<double>() > 0.1);
}

TEST_CASE("no entry of the tables depends on how long they are, and all are double's", "[rotary]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::parity);
    const Rope rope = rotation(64, 1e6);
    const Rotary exact(rope, 500, Precision::fp64), longer(rope, 500, precision);
    for (const std::int64_t length : {1, 2, 33, 500}) {
        const Rotary rotary(rope, length, precision);
        CHECK(at::equal(rotary.cos, longer.cos.narrow(0, 0, length)));
        CHECK(at::equal(rotary.sin, longer.sin.narrow(0, 0, length)));
    }
    const auto as_kept = [&](const at::Tensor& table) {
        const at::Tensor x = table.to(activation_dtype(precision));
        return precision == Precision::parity ? x.to(at::kBFloat16).to(at::kFloat) : x;
    };
    CHECK(at::equal(longer.cos, as_kept(exact.cos)));
    CHECK(at::equal(longer.sin, as_kept(exact.sin)));
}

TEST_CASE("parity rounds each product and each sum of a rotation", "[rotary]") {
    at::manual_seed(3);
    const Rotary rotary(rotation(8, 1e4), 100, Precision::parity);
    auto [x, positions] = draw(8, 100, at::kFloat);
    x = x.to(at::kBFloat16).to(at::kFloat);
    const at::Tensor got = rotary.rotate(x, positions);
    const auto bf16 = [](float value) { return static_cast<float>(c10::BFloat16(value)); };
    for (std::int64_t row = 0; row < x.size(0); ++row) {
        const auto position = positions[row].item<std::int64_t>();
        const float *before = x[row][1].data_ptr<float>(), *after = got[row][1].data_ptr<float>();
        for (std::int64_t i = 0; i < 4; ++i) {
            const auto c = rotary.cos[position][i].item<float>(), s = rotary.sin[position][i].item<float>();
            CHECK(after[i] == bf16(bf16(before[i] * c) - bf16(before[i + 4] * s)));
            CHECK(after[i + 4] == bf16(bf16(before[i + 4] * c) + bf16(before[i] * s)));
        }
    }
}
