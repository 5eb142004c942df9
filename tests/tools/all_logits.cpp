// Test tool: all_logits MODEL fp32|fp64|split ID... > a line of vocab_size logits for each position of a clean run.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/ranges.h>

#include <charconv>
#include <string_view>

#include "moesweep/model/full_forward.h"

using namespace moesweep;

namespace {

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
    LayerSource layers(weights, {0, model.router.num_experts}, /*streamed=*/true);
    const at::Tensor scores = logits(weights, full_forward(weights, layers, {&ids, 1})).to(at::kDouble).contiguous();
    const double* line = scores.data_ptr<double>();
    for (std::int64_t t = 0; t < scores.size(0); ++t, line += scores.size(1))
        fmt::print("{}\n", fmt::join(line, line + scores.size(1), " "));
    return 0;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
} catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(Exit::internal);
}
