// The kernels against plain formulas on the CPU in double: the host's loops in a build without CUDA, the GPU's where
// there is one.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <array>

#include "catch_beside_torch.h"
#include "device/stand_in_device.h"
#include "model/kernels/tensors.h"
#include "moesweep/comm/gpu.h"
#include "moesweep/model/rotary.h"

using namespace moesweep;

namespace {

/// Largest differences allowed, relative to the largest expected number: rounding of sums over some thousand numbers.
constexpr double fp32 = 3e-6, fp64 = 1e-14;

/// Where the kernels of this build run; nothing if that needs a GPU and there is none.
std::optional<c10::Device> kernel_device() {
    const auto gpus = visible_gpus();
    if (!gpus) return stand_in_device;
    if (*gpus == 0) {
        WARN("there is no GPU: its kernels are not tested");
        return std::nullopt;
    }
    return c10::Device(c10::kCUDA, 0);
}

at::Tensor draw(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
    static auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
    return at::randn(shape, generator).to(dtype);
}

void check_near(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
    const at::Tensor ours = got.cpu().to(at::kDouble);
    REQUIRE(ours.sizes() == expected.sizes());
    if (ours.numel() == 0) return;
    const double scale = expected.abs().max().item<double>();
    CHECK((ours - expected).abs().max().item<double>() <= tolerance * scale);
}

at::Tensor normed(const at::Tensor& x, const at::Tensor& weight, double eps) {
    return x / (x.square().mean(-1, true) + eps).sqrt() * weight;
}

at::Tensor sum_of(const at::Tensor& terms) {
    return terms.cpu().to(at::kDouble).sum(0);
}

}  // namespace

TEST_CASE("norms, sums of slots and dot products of rows", "[kernels]") {
    const auto device = kernel_device();
    if (!device) return;
    const auto dtype = GENERATE(at::kFloat, at::kDouble);
    const double tolerance = dtype == at::kDouble ? fp64 : fp32;
    const auto precision = dtype == at::kDouble ? Precision::fp64 : Precision::fp32;
    for (const std::int64_t rows : {1, 5, 300})
        for (const std::int64_t d : {1, 40, 2048, 5000}) {
            const at::Tensor x = draw({rows, d}, dtype), weight = draw({d}, dtype), b = draw({3, d}, at::kDouble);
            const at::Tensor which = at::arange(rows, at::kLong).remainder(3), x64 = x.to(at::kDouble);
            check_near(kernels::rms_norm(x.to(*device), weight.to(*device), 1e-5, precision),
                       normed(x64, weight.to(at::kDouble), 1e-5), tolerance);
            check_near(kernels::dot_rows(x.to(*device), b.to(*device), which.to(*device)),
                       (x64 * b.index_select(0, which)).sum(-1), 1e-13 * double(d));
            check_near(kernels::dot_rows(x.to(*device), x.to(*device), {}), x64.square().sum(-1), 1e-13);
            const at::Tensor slots = draw({rows, 8, d}, dtype);
            check_near(kernels::sum_slots(slots.to(*device), precision), slots.to(at::kDouble).sum(1), tolerance);
        }
}

TEST_CASE("heads are normed, rotated and mixed", "[kernels]") {
    const auto device = kernel_device();
    if (!device) return;
    const auto dtype = GENERATE(at::kFloat, at::kDouble);
    const bool with_norm = GENERATE(true, false);
    const double tolerance = dtype == at::kDouble ? 1e-13 : 1e-5;
    const auto precision = dtype == at::kDouble ? Precision::fp64 : Precision::fp32;
    for (const auto& [H, Hkv, Dh, rotated] : std::vector<std::array<std::int64_t, 4>>{
             {4, 2, 8, 8}, {6, 1, 40, 20}, {8, 8, 64, 64}, {32, 4, 128, 128}, {4, 4, 256, 64}}) {
        INFO(H << " heads of " << Dh);
        const Rope rope{.rotary_dim = rotated, .rope_theta = 1e4};
        const std::int64_t contexts = 50, N = contexts + 37;  // one run's context, and rows of its last position
        const at::Tensor qkv = draw({N, (H + 2 * Hkv) * Dh}, dtype), q_norm = draw({Dh}, dtype),
                         k_norm = draw({Dh}, dtype);
        at::Tensor positions = at::arange(N, at::kLong).clamp_max(contexts);
        const at::Tensor first = at::zeros({N}, at::kInt), count = positions.to(at::kInt);

        const Rotary exact(rope, contexts + 1, Precision::fp64), rotary(rope, contexts + 1, precision, *device);
        const auto parts = qkv.to(at::kDouble).view({N, H + 2 * Hkv, Dh}).split_with_sizes({H, Hkv, Hkv}, 1);
        const auto placed = [&](const at::Tensor& x, const at::Tensor& norm) {
            return exact.rotate(with_norm ? normed(x, norm.to(at::kDouble), 1e-6) : x, positions);
        };
        const at::Tensor q = placed(parts[0], q_norm), k = placed(parts[1], k_norm).repeat_interleave(H / Hkv, 1),
                         v = parts[2].repeat_interleave(H / Hkv, 1);
        const at::Tensor expected = at::empty({N, H, Dh}, at::kDouble);
        for (std::int64_t r = 0; r < N; ++r) {
            const at::Tensor seen = at::cat({at::arange(positions[r].item<std::int64_t>()), at::tensor({r})});
            const at::Tensor scores = (k.index_select(0, seen) * q[r]).sum(-1) / std::sqrt(double(Dh));  // [seen, H]
            expected[r].copy_((at::softmax(scores, 0).unsqueeze(-1) * v.index_select(0, seen)).sum(0));
        }

        const at::Tensor there = qkv.to(*device);
        const kernels::Heads heads{N, static_cast<int>(H), static_cast<int>(Hkv), static_cast<int>(Dh)};
        kernels::norm_and_rotate(there, heads, with_norm ? q_norm.to(*device) : at::Tensor(),
                                 with_norm ? k_norm.to(*device) : at::Tensor(), 1e-6, rotary.cos, rotary.sin,
                                 positions.to(*device), precision);
        check_near(there.narrow(1, 0, H * Dh), q.reshape({N, H * Dh}), tolerance);
        for (const std::int64_t begin : {std::int64_t{0}, contexts})
            check_near(kernels::attend(there, heads, begin, there.narrow(1, H * Dh, 2 * Hkv * Dh), first.to(*device),
                                       count.to(*device), contexts, precision),
                       expected.narrow(0, begin, N - begin).reshape({N - begin, H * Dh}), tolerance);
        // The same of contexts that lie elsewhere.
        const at::Tensor cache = there.narrow(0, 0, contexts).narrow(1, H * Dh, 2 * Hkv * Dh).contiguous();
        const at::Tensor rows = there.narrow(0, contexts, N - contexts).contiguous();
        check_near(kernels::attend(rows, {N - contexts, heads.heads, heads.kv_heads, heads.d}, 0, cache,
                                   first.narrow(0, contexts, N - contexts).to(*device),
                                   count.narrow(0, contexts, N - contexts).to(*device), contexts, precision),
                   expected.narrow(0, contexts, N - contexts).reshape({N - contexts, H * Dh}), tolerance);
    }
}

TEST_CASE("products of groups of rows, in bf16 terms", "[kernels]") {
    const auto device = kernel_device();
    if (!device) return;
    const auto precision = GENERATE(Precision::fast, Precision::split);
    for (const auto& [in, out] :
         std::vector<std::array<std::int64_t, 2>>{{48, 40}, {256, 96}, {2048, 1536}, {768, 2048}}) {
        const std::vector<std::int32_t> counts = {0, 1, 130, 0, 63, 257, 0};
        std::vector<std::int32_t> offsets = {0};
        for (const auto n : counts) offsets.push_back(offsets.back() + n);
        const at::Tensor x = draw({offsets.back(), in}), source = at::arange(offsets.back() - 1, -1, -1);
        std::vector<at::Tensor> weights, expected;
        const at::Tensor terms = kernels::split(x.to(*device), source.to(*device), precision);
        check_near(terms[0], x.index_select(0, source).to(at::kBFloat16).to(at::kDouble), 0);
        if (precision == Precision::split) check_near(sum_of(terms), x.index_select(0, source).to(at::kDouble), 0);
        for (std::size_t g = 0; g < counts.size(); ++g) {
            const at::Tensor weight = draw({out, in}, at::kBFloat16);
            weights.push_back(weight.to(*device));
            if (!kernels::can_multiply(weights.back())) {
                WARN("no grouped products on this device");
                return;
            }
            expected.push_back(sum_of(terms).narrow(0, offsets[g], counts[g]).matmul(weight.to(at::kDouble).t()));
        }
        const at::Tensor places = at::tensor(offsets, at::kInt).to(*device),
                         y = kernels::multiply(terms, weights, places);
        check_near(y, at::cat(expected), fp32);

        // A row's bits are its own: alone, and at another place of another group's size.
        const at::Tensor alone =
            kernels::multiply(terms.narrow(1, 100, 1).contiguous(), {weights[2]}, kernels::one_group(1, *device));
        CHECK(at::equal(alone[0].cpu(), y[100].cpu()));
    }
}

TEST_CASE("the feed-forward of experts and the weights of their answers", "[kernels]") {
    const auto device = kernel_device();
    if (!device) return;
    const std::int64_t D = 64, F = 96, S = 150;
    std::vector<Mlp> experts, there;
    std::vector<at::Tensor> expected;
    const std::vector<std::int32_t> offsets = {0, 20, 20, 150};
    const at::Tensor x = draw({S, D});
    for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
        const at::Tensor gate_up = (draw({2 * F, D}) / 8).to(at::kBFloat16),
                         down = (draw({D, F}) / 8).to(at::kBFloat16);
        there.push_back({gate_up.to(*device), down.to(*device)});
        if (!kernels::can_multiply(there.back().gate_up)) {
            WARN("no grouped products on this device");
            return;
        }
        const at::Tensor rows = x.to(at::kDouble).narrow(0, offsets[e], offsets[e + 1] - offsets[e]);
        const auto halves = rows.matmul(gate_up.to(at::kDouble).t()).chunk(2, 1);
        expected.push_back((at::silu(halves[0]) * halves[1]).matmul(down.to(at::kDouble).t()));
    }
    const at::Tensor terms = kernels::split(x.to(*device), {}, Precision::split);
    const at::Tensor places = at::tensor(offsets, at::kInt).to(*device);
    const at::Tensor y = kernels::feed_forward(there, terms, places, Precision::split);
    check_near(y, at::cat(expected), fp32);

    const at::Tensor slots = at::arange(S - 1, -1, -1), weights = draw({S, 1});
    const at::Tensor weighed = kernels::weigh(y, slots.to(*device), weights.to(*device), Precision::split);
    check_near(weighed, (y.cpu().index_select(0, slots) * weights).to(at::kDouble), 0);
}
