// The product of rows with a matrix, by the library that suits this processor.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace moesweep {

/// x [n, in] times weight [out, in] transposed is written to `product` [n, out], whose rows may lie apart. All are of
/// one dtype and device. With one thread, on one processor, the order of the sums depends on the shapes alone, not on
/// where in x a row lies.
void multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& product);

/// Who makes products of fp32 numbers on the CPU: ATen's BLAS, which is MKL in most builds, or oneDNN. All others are
/// ATen's.
enum class ProductLibrary { blas, onednn };

/// At first the one for this processor: MKL leaves the AVX-512 of other makers than Intel unused, and with it half of
/// their rate (bench/RESULTS.md). Tests and benchmarks set it.
ProductLibrary& product_library();

/// Those that this libtorch has.
std::vector<ProductLibrary> product_libraries();

}  // namespace moesweep
