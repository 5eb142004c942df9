// One layer of a true model's shape on one core: its FLOP/s with each library of products, beside that of large
// products by the same library in the same round. Usage: layer_rate [qwen3|mixtral]; random weights, 2.5 or 5.8 GB of
// memory.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <string>

#include "moesweep/model/attention.h"
#include "moesweep/model/decoder_layer.h"
#include "moesweep/model/experts.h"
#include "moesweep/run/layout.h"
#include "product_rate.h"
#include "timing.h"
#include "true_shapes.h"

using namespace moesweep;

namespace {

constexpr std::int64_t context = 11, rows_per_run = 64;

at::Tensor random(std::int64_t rows, std::int64_t columns) {
    return at::randn({rows, columns}) / std::sqrt(double(columns));
}

LayerWeights random_layer(const ModelConfig& m) {
    const std::int64_t D = m.hidden_size, H = m.heads.num_attention_heads, Hkv = m.heads.num_key_value_heads,
                       Dh = m.heads.head_dim;
    LayerWeights layer;
    layer.input_norm = layer.post_attention_norm = at::ones({D});
    layer.qkv = random((H + 2 * Hkv) * Dh, D);
    layer.output = random(D, H * Dh);
    if (m.heads.qk_norm) layer.q_norm = layer.k_norm = at::ones({Dh});
    layer.moe.emplace();
    layer.moe->router = random(m.router.num_experts, D);
    for (std::int64_t e = 0; e < m.router.num_experts; ++e)
        layer.moe->experts.push_back(
            {random(2 * m.expert.intermediate_size, D), random(D, m.expert.intermediate_size)});
    return layer;
}

/// The steps of the layer pass on its hidden states, in the same order.
at::Tensor step(const ModelConfig& m, const LayerWeights& layer, const Rotary& rotary, const Attention& attention,
                const at::Tensor& positions, const at::Tensor& hidden) {
    const DecoderLayer steps{m, layer, Precision::fp32};
    const at::Tensor mixed = attention.mix(steps.project_heads(hidden, rotary, positions), /*with_contexts=*/true);
    const at::Tensor after = steps.add_attention(hidden, mixed);
    const auto [x, routing] = steps.enter_moe(after);
    return steps.add(after, combine(*layer.moe, routing, contributions(*layer.moe, routing, x), x));
}

const char* name_of(ProductLibrary library) {
    return library == ProductLibrary::blas ? "BLAS" : "oneDNN";
}

}  // namespace

int main(int argc, char** argv) try {
    const c10::InferenceMode no_autograd;
    at::set_num_threads(1);
    keep_freed_memory();
    const std::string model = argc > 1 ? argv[1] : "qwen3";
    if (model != "qwen3" && model != "mixtral") fail(Exit::usage, "'{}': expected qwen3 or mixtral", model);
    const ModelConfig m = parse_model_config(shape_of(model, /*layers=*/1), model);
    const LayerWeights layer = random_layer(m);

    const std::int64_t runs = model == "qwen3" ? 64 : 16;  // 4,800 or 1,200 rows: some 300 for each expert
    std::vector<Context> contexts;
    std::vector<std::int64_t> row_runs, positions;
    for (std::int64_t run = 0; run < runs; ++run) {
        contexts.push_back({run * context, context});
        for (std::int64_t t = 0; t < context; ++t) positions.push_back(t);
        row_runs.insert(row_runs.end(), rows_per_run, run);
    }
    positions.insert(positions.end(), row_runs.size(), context);
    Attention attention(m.heads, contexts, Precision::fp32);
    attention.add_rows(row_runs);
    const Rotary rotary(m.rope, context + 1, Precision::fp32);
    const at::Tensor hidden = at::randn({static_cast<std::int64_t>(positions.size()), m.hidden_size}),
                     at_positions = at::tensor(positions, at::kLong);

    std::map<ProductLibrary, std::vector<double>> rates, shares;
    for (int round = 0; round < 5; ++round) {
        for (const ProductLibrary library : product_libraries()) {
            product_library() = library;
            const double peak = product_rate(at::kFloat);
            const double rate = operations_per_row(m, 0) * double(hidden.size(0)) /
                                seconds_of([&] { step(m, layer, rotary, attention, at_positions, hidden); });
            rates[library].push_back(rate);
            shares[library].push_back(rate / peak);
            fmt::print("{}: {} rows by {}: {:.1f} GFLOP/s, large products {:.1f} GFLOP/s, share {:.2f}\n", model,
                       hidden.size(0), name_of(library), rate / 1e9, peak / 1e9, shares[library].back());
        }
    }
    for (const ProductLibrary library : product_libraries())
        fmt::print("medians by {}: {:.1f} GFLOP/s, share {:.2f}\n", name_of(library), median(rates[library]) / 1e9,
                   median(shares[library]));
} catch (const moesweep::Error& error) {
    fmt::print(stderr, "layer_rate: {}\n", error.what());
    return static_cast<int>(error.code());
}
