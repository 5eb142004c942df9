// Attention against plain loops in double, and the same bits for a row wherever it lies and whatever lies beside it.
#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

#include "catch_beside_torch.h"
#include "moesweep/model/attention.h"
#include "moesweep/model/layer_weights.h"
#include "using_library.h"

using namespace moesweep;

namespace {

Heads heads_of(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim) {
    return {.num_attention_heads = heads, .num_key_value_heads = kv_heads, .head_dim = head_dim};
}

/// One row of heads [H + 2 Hkv, Dh] over the rows that it sees, itself the last of them.
std::vector<double> naive(const Heads& c, const at::Tensor& heads, const std::vector<std::int64_t>& seen) {
    const std::int64_t H = c.num_attention_heads, Hkv = c.num_key_value_heads, Dh = c.head_dim;
    const auto head = [&](std::int64_t row, std::int64_t h) {
        return heads.data_ptr<double>() + (row * (H + 2 * Hkv) + h) * Dh;
    };
    std::vector<double> mixed;
    for (std::int64_t h = 0; h < H; ++h) {
        const std::int64_t kv = h / (H / Hkv);
        std::vector<double> weights, sum(static_cast<std::size_t>(Dh));
        double total = 0;
        for (const std::int64_t row : seen) {
            double product = 0;
            for (std::int64_t d = 0; d < Dh; ++d) product += head(seen.back(), h)[d] * head(row, H + kv)[d];
            weights.push_back(std::exp(product / std::sqrt(double(Dh))));
            total += weights.back();
        }
        for (std::size_t i = 0; i < seen.size(); ++i)
            for (std::int64_t d = 0; d < Dh; ++d)
                sum[static_cast<std::size_t>(d)] += weights[i] / total * head(seen[i], H + Hkv + kv)[d];
        mixed.insert(mixed.end(), sum.begin(), sum.end());
    }
    return mixed;
}

}  // namespace

TEST_CASE("contexts see what is before them, rows their run's context and themselves", "[attention]") {
    at::manual_seed(6);
    const Using library(product_library());
    for (const auto& [H, Hkv, Dh] : {std::tuple{4, 2, 8}, {6, 1, 10}, {3, 3, 16}}) {
        INFO(H << " heads of " << Dh << ", " << Hkv << " of keys");
        const Heads config = heads_of(H, Hkv, Dh);
        std::vector<Context> contexts;  // some of one padded width, one without a token
        std::int64_t end = 0;
        for (const std::int64_t length : {5, 16, 0, 17, 1, 40, 15}) {
            contexts.push_back({end, length});
            end += length;
        }
        std::vector<std::int64_t> runs;
        for (std::int64_t row = 0; row < 60; ++row) runs.push_back(row < 30 ? 1 : row * 5 % 7);  // more than a tile's
        Attention attention(config, contexts, Precision::fp64);
        attention.add_rows(std::span(runs).first(11));
        attention.add_rows(std::span(runs).subspan(11));
        const auto N = end + static_cast<std::int64_t>(runs.size());
        const at::Tensor heads = at::randn({N, H + 2 * Hkv, Dh}, at::kDouble), before = heads.clone();
        const at::Tensor mixed = attention.mix(heads, /*with_contexts=*/true);
        CHECK(at::equal(heads, before));
        REQUIRE(mixed.sizes().vec() == std::vector<std::int64_t>{N, H * Dh});
        CHECK(at::equal(attention.mix(heads, /*with_contexts=*/false), mixed.narrow(0, end, N - end)));

        const auto check_row = [&, &config_ = config](std::int64_t row, const Context& context, std::int64_t count) {
            std::vector<std::int64_t> seen;
            for (std::int64_t t = 0; t < count; ++t) seen.push_back(context.begin + t);
            seen.push_back(row);
            const std::vector<double> expected = naive(config_, heads, seen);
            for (std::size_t i = 0; i < expected.size(); ++i)
                REQUIRE(std::abs(mixed[row].data_ptr<double>()[i] - expected[i]) <= 1e-12);
        };
        for (const Context& context : contexts)
            for (std::int64_t t = 0; t < context.length; ++t) check_row(context.begin + t, context, t);
        for (std::size_t row = 0; row < runs.size(); ++row) {
            const Context& context = contexts[static_cast<std::size_t>(runs[row])];
            check_row(end + static_cast<std::int64_t>(row), context, context.length);
        }
    }
}

TEST_CASE("a row's attention depends neither on its place nor on its company", "[attention]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    const std::int64_t per_kv = GENERATE(1, 2, 3, 4, 5, 7, 8, 12, 16);  // Mixtral's is 4, Qwen3's 8, GLM's 12
    const std::int64_t head_dim = GENERATE(8, 64, 128), length = GENERATE(0, 11, 40);
    INFO(per_kv << " heads of " << head_dim << " a key, " << length << " tokens before");
    const Using library(product_library());
    at::manual_seed(5);
    const Heads config = heads_of(2 * per_kv, 2, head_dim);

    constexpr std::int64_t rows = 70;  // more than a tile
    const at::Tensor heads = at::randn({length + rows, 2 * per_kv + 4, head_dim}, activation_dtype(precision));
    const auto attend = [&](const at::Tensor& of_rows) {  // those rows alone, in that order
        Attention attention(config, {{0, length}}, precision);
        attention.add_rows(std::vector<std::int64_t>(static_cast<std::size_t>(of_rows.size(0))));
        const at::Tensor lines = at::cat({at::arange(length), of_rows + length});
        return attention.mix(heads.index_select(0, lines), /*with_contexts=*/false);
    };
    const at::Tensor order = at::arange(rows), whole = attend(order);
    for (std::int64_t shift = 1; shift < rows; shift += 4)
        CHECK(at::equal(attend(order.roll(shift)).roll(-shift, 0), whole));
    for (const std::int64_t some : {1, 2, 15, 33, 50})
        CHECK(at::equal(attend(order.narrow(0, rows - some, some)), whole.narrow(0, rows - some, some)));
}

TEST_CASE("a row whose context is in a cache sees what a row beside it would, in any company", "[attention]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    const std::int64_t per_kv = GENERATE(1, 2, 4, 8, 12), head_dim = GENERATE(8, 64, 128);
    INFO(per_kv << " heads of " << head_dim << " a key");
    const Using library(product_library());
    at::manual_seed(8);
    const Heads config = heads_of(2 * per_kv, 2, head_dim);

    constexpr std::int64_t pool = 300, rows = 23;
    const at::Tensor cache = at::randn({pool, 4, head_dim}, activation_dtype(precision)),
                     heads = at::randn({rows, 2 * per_kv + 4, head_dim}, cache.options());
    std::vector<Context> contexts;
    for (std::int64_t row = 0; row < rows; ++row) contexts.push_back({row * 11 % 200, row * 7 % 90});
    const auto attend = [&](std::int64_t first, std::int64_t end) {
        Attention attention(config, {contexts.begin() + first, contexts.begin() + end}, precision, at::kCPU,
                            Attention::Runs::cached);
        std::vector<std::int64_t> runs(static_cast<std::size_t>(end - first));
        std::iota(runs.begin(), runs.end(), 0);
        attention.add_rows(runs);
        return attention.mix(heads.narrow(0, first, end - first), cache);
    };
    const at::Tensor whole = attend(0, rows);
    for (std::int64_t row = 0; row < rows; ++row) {
        CHECK(at::equal(attend(row, row + 1), whole.narrow(0, row, 1)));
        const auto [begin, length] = contexts[static_cast<std::size_t>(row)];
        const at::Tensor queries = at::zeros({length, 2 * per_kv, head_dim}, cache.options());
        const at::Tensor seen =
            at::cat({at::cat({queries, cache.narrow(0, begin, length)}, 1), heads.narrow(0, row, 1)});
        Attention beside(config, {{0, length}}, precision);
        beside.add_rows(std::vector<std::int64_t>{0});
        const double furthest =
            (beside.mix(seen, /*with_contexts=*/false) - whole.narrow(0, row, 1)).abs().max().item<double>();
        CHECK(furthest <= (precision == Precision::fp64 ? 1e-14 : 5e-6));
    }
}
