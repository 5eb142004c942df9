// Products of many groups of rows, each with a matrix of its own, in one launch: what the experts of a layer do. On
// CUDA (grouped_product.cu) by the tensor cores of Hopper; without it (kernels_host.cpp) by loops over host memory, the
// twin that tests compare with.
#pragma once
#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace moesweep::kernels {

/// A bf16 number as its bits.
using Bf16 = std::uint16_t;

/// y[r] = W_g x[r], or y[r] += W_g x[r], for every group g and its rows r in [offsets[g], offsets[g + 1]). The sum over
/// `in` is made in fp32 and in one order for all rows: a row's bits do not depend on the rows beside it. All pointers
/// are the device's.
struct GroupedProduct {
    const Bf16* x = nullptr;                ///< [rows, in], rows sorted by group
    const Bf16* const* weights = nullptr;   ///< [groups], each [out, in]
    const std::int32_t* offsets = nullptr;  ///< [groups + 1], ascending from 0
    float* y = nullptr;                     ///< [rows, out]
    int groups = 0, in = 0, out = 0;
    bool add = false;
};

/// Whether grouped_product can make products of these sizes on the current device.
bool can_group_products(int in, int out);

/// Bytes of device memory, aligned to 256, that one call needs until it has run.
std::size_t grouped_product_workspace(int groups);

/// Launches the product. std::runtime_error if the device refuses it.
void grouped_product(const GroupedProduct& product, void* workspace, CUstream_st* stream);

}  // namespace moesweep::kernels
