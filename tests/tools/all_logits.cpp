// Test tool: all_logits MODEL fp32|fp64|split ID... > a line of vocab_size logits for each position of a clean run.
// The run is laid out as in the layer pass: all positions but the last are context, the last one is a row.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/ranges.h>

#include <charconv>
#include <numeric>
#include <string_view>

#include "moesweep/model/attention.h"
#include "moesweep/model/layers.h"
#include "moesweep/model/weights.h"

using namespace moesweep;

namespace {

at::Tensor norm(const Weights& weights, const at::Tensor& x, const at::Tensor& weight) {
    return rms_norm(x, weight, weights.config().rms_norm_eps, weights.precision());
}

at::Tensor attend(const Weights& weights, const LayerWeights& layer, const Rotary& rotary, const Attention& attention,
                  const at::Tensor& hidden) {
    const Precision precision = weights.precision();
    const at::Tensor qkv = project(norm(weights, hidden, layer.input_norm), layer.qkv, layer.qkv_bias, precision);
    const at::Tensor positions = at::arange(hidden.size(0), at::kLong);
    const at::Tensor mixed = attention.mix(qkv, layer, rotary, positions, /*with_contexts=*/true);
    return project(mixed, layer.output, layer.output_bias, precision);
}

at::Tensor feed(const Weights& weights, const LayerWeights& layer, const at::Tensor& hidden) {
    const at::Tensor x = norm(weights, hidden, layer.post_attention_norm);
    if (layer.dense) return feed_forward(*layer.dense, x, weights.precision());
    const Routing routing = route(*layer.moe, weights.config(), x);
    return combine(*layer.moe, routing, contributions(*layer.moe, routing, x), x);
}

/// [T, V]
at::Tensor all_logits(const ModelConfig& m, const Weights& weights, const std::vector<std::int32_t>& ids) {
    const auto T = static_cast<std::int64_t>(ids.size());
    const Rotary rotary(m, T, weights.precision());
    Attention attention(m, {{0, T - 1}}, weights.precision());
    attention.add_rows(std::vector<std::int64_t>{0});

    at::Tensor hidden = weights.embed(ids);
    for (std::int64_t l = 0; l < m.num_hidden_layers; ++l) {
        const LayerWeights layer = weights.layer(l);
        hidden = hidden + attend(weights, layer, rotary, attention, hidden);
        hidden = hidden + feed(weights, layer, hidden);
    }
    std::vector<std::int32_t> vocabulary(static_cast<std::size_t>(m.vocab_size));
    std::iota(vocabulary.begin(), vocabulary.end(), 0);
    return project(norm(weights, hidden, weights.final_norm()), weights.head(vocabulary), {}, weights.precision());
}

std::int32_t parse_id(std::string_view text) {
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size()) fail(Exit::usage, "'{}' is no token id", text);
    return id;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 4) fail(Exit::usage, "usage: all_logits MODEL fp32|fp64|split ID...");
    std::vector<std::int32_t> ids;
    for (int i = 3; i < argc; ++i) ids.push_back(parse_id(argv[i]));

    at::set_num_threads(1);
    const c10::InferenceMode no_autograd;
    const ModelConfig model = read_model_config(argv[1]);
    const std::string_view precision = argv[2];
    const Weights weights(argv[1], model,
                          precision == "fp64"    ? Precision::fp64
                          : precision == "split" ? Precision::split
                                                 : Precision::fp32);
    const at::Tensor logits = all_logits(model, weights, ids).to(at::kDouble).contiguous();
    const double* line = logits.data_ptr<double>();
    for (std::int64_t t = 0; t < logits.size(0); ++t, line += logits.size(1))
        fmt::print("{}\n", fmt::join(line, line + logits.size(1), " "));
    return 0;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
} catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(Exit::internal);
}
