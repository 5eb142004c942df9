// The products of a layer's experts on a GPU: the grouped kernel beside torch's own grouped product and one large
// product.
//     gpu_products [ROWS PER EXPERT] [ROUNDS]
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/InferenceMode.h>

#include <fmt/format.h>

#include "model/kernels/tensors.h"
#include "moesweep/base/error.h"
#include "moesweep/comm/gpu.h"
#include "product_rate.h"

using namespace moesweep;

namespace {

const c10::Device gpu(c10::kCUDA, 0);

struct Shape {
    const char* name;
    std::int64_t experts, in, out;
};
constexpr Shape shapes[] = {{"Qwen3-30B-A3B gate_up", 128, 2048, 1536},
                            {"Qwen3-30B-A3B down", 128, 768, 2048},
                            {"Mixtral-8x7B gate_up", 8, 4096, 28672},
                            {"Mixtral-8x7B down", 8, 14336, 4096}};

/// Median FLOP/s of `product`, warm.
double rate(double operations, std::int64_t rounds, auto&& product) {
    std::vector<double> seconds;
    for (std::int64_t i = 0; i <= rounds; ++i) {
        const double time = seconds_of([&] {
            product();
            at::accelerator::synchronizeDevice(0);
        });
        if (i > 0) seconds.push_back(time);
    }
    return operations / median(seconds);
}

void run(const Shape& shape, std::int64_t rows_per_expert, std::int64_t rounds) {
    const auto bf16 = at::TensorOptions(at::kBFloat16).device(gpu);
    const std::int64_t rows = shape.experts * rows_per_expert;
    const at::Tensor weights = at::randn({shape.experts, shape.out, shape.in}, bf16),
                     x = at::randn({rows, shape.in}, bf16);
    const at::Tensor ends = at::arange(1, shape.experts + 1, at::kInt).mul(rows_per_expert).to(gpu);
    const at::Tensor offsets = at::cat({at::zeros_like(ends.narrow(0, 0, 1)), ends});
    const double operations = 2.0 * double(rows) * double(shape.in) * double(shape.out);
    const at::Tensor terms = x.expand({3, rows, shape.in}).contiguous();
    const std::vector<at::Tensor> each = weights.unbind(0);
    const double one = rate(operations, rounds, [&] { kernels::multiply(x.unsqueeze(0), each, offsets); }),
                 three = rate(operations, rounds, [&] { kernels::multiply(terms, each, offsets); }),
                 torch = rate(operations, rounds, [&] { at::_grouped_mm(x, weights.transpose(1, 2), ends); });
    fmt::print(
        "{:<24} one term {:6.1f} TFLOP/s, three terms {:6.1f} (counted once), at::_grouped_mm {:6.1f}, {} rows\n",
        shape.name, one * 1e-12, three * 1e-12, torch * 1e-12, rows);
}

}  // namespace

int main(int argc, char** argv) try {
    const c10::InferenceMode no_autograd;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (visible_gpus().value_or(0) == 0) fail(Exit::usage, "there is no GPU, or this is not the preset cuda");
    const std::int64_t rows = argc > 1 ? std::stoll(argv[1]) : 2048, rounds = argc > 2 ? std::stoll(argv[2]) : 10;
    fmt::print("one 8192-cube product {:.1f} TFLOP/s\n",
               product_rate(at::TensorOptions(at::kBFloat16).device(gpu)) * 1e-12);
    for (const Shape& shape : shapes) run(shape, shape.experts == 8 ? 4 * rows : rows, rounds);
} catch (const std::exception& error) {
    fmt::print(stderr, "gpu_products: {}\n", error.what());
    return 1;
}
