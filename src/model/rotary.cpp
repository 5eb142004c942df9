#include "moesweep/model/rotary.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moesweep/model/row_arithmetic.h"

namespace moesweep {

Rotary::Rotary(const Rope& rope, std::int64_t length, Precision precision_, c10::Device device)
    : precision(precision_) {
    // Element by element: a table's entry must not depend on the table's length (see router.cpp).
    const std::int64_t half = rope.rotary_dim / 2;
    const at::Tensor cosines = at::empty({length, half}, at::kDouble), sines = at::empty_like(cosines);
    for (std::int64_t position = 0; position < length; ++position) {
        for (std::int64_t i = 0; i < half; ++i) {
            const double frequency = std::pow(rope.rope_theta, -2.0 * double(i) / double(rope.rotary_dim));
            cosines.data_ptr<double>()[position * half + i] = std::cos(double(position) * frequency);
            sines.data_ptr<double>()[position * half + i] = std::sin(double(position) * frequency);
        }
    }
    const at::ScalarType dtype = activation_dtype(precision);
    cos = rounded(cosines.to(dtype), precision).to(device);
    sin = rounded(sines.to(dtype), precision).to(device);
}

at::Tensor Rotary::rotate(const at::Tensor& x, const at::Tensor& positions) const {
    const at::Tensor c = cos.index_select(0, positions).unsqueeze(1), s = sin.index_select(0, positions).unsqueeze(1);
    const std::int64_t half = cos.size(1);
    const at::Tensor first = x.narrow(2, 0, half), second = x.narrow(2, half, half);
    const auto times = [&](const at::Tensor& a, const at::Tensor& b) { return rounded(a * b, precision); };
    return at::cat(
        {rounded(times(first, c) - times(second, s), precision), rounded(times(second, c) + times(first, s), precision),
         x.narrow(2, 2 * half, x.size(2) - 2 * half)},
        2);
}

}  // namespace moesweep
