// The machine's rate in large matrix products, which benchmarks compare their own with.
#pragma once
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>

#include <cmath>

#include "model/products.h"
#include "timing.h"

namespace moesweep {

/// FLOP/s of large square products of that dtype on that device, by the library that the sweep uses there.
inline double product_rate(const at::TensorOptions& options) {
    const at::Device device = options.device();
    const std::int64_t n = device.is_cpu() ? 2048 : 8192, times = device.is_cpu() ? 1 : 20;
    const at::Tensor a = at::randn({n, n}, options), b = at::randn({n, n}, options), product = at::empty_like(a);
    const auto products = [&] {
        for (std::int64_t i = 0; i < times; ++i) multiply(a, b, product);
        if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
    };
    products();
    return double(times) * 2 * std::pow(double(n), 3) / seconds_of(products);
}

}  // namespace moesweep
