#include "tiles.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moesweep/model/row_arithmetic.h"
#include "products.h"

namespace moesweep {
namespace {

/// Rows of a product. A device wants many in one launch.
std::int64_t tile_rows(const at::Tensor& x) {
    return x.is_cpu() ? row_tile : device_row_tile;
}

/// x as it meets a matrix of that dtype: rounded to bf16 where the matrix is bf16, but not in split.
at::Tensor factor(const at::Tensor& x, at::ScalarType matrix, Precision precision) {
    return matrix == at::kBFloat16 && precision != Precision::split ? x.to(at::kBFloat16).to(x.scalar_type()) : x;
}

}  // namespace

at::Tensor pad_rows(const at::Tensor& x) {
    const std::int64_t n = x.size(0), tile = tile_rows(x), padded = (n + tile - 1) / tile * tile;
    if (padded == n) return x.contiguous();
    const at::Tensor out = at::zeros({padded, x.size(1)}, x.options());
    out.narrow(0, 0, n).copy_(x);
    return out;
}

/// All tiles use one block of the weight before the next one is fetched from memory: a block stays in the cache, a
/// whole expert of Mixtral does not.
at::Tensor multiply_tiles(const at::Tensor& x, const at::Tensor& weight, Precision precision) {
    const std::int64_t columns = weight.size(0), block = x.is_cpu() ? 512 : columns, height = tile_rows(x);
    const at::Tensor left = factor(x, weight.scalar_type(), precision);
    at::Tensor out = at::empty({x.size(0), columns}, x.options());
    for (std::int64_t column = 0; column < columns; column += block) {
        const std::int64_t width = std::min(block, columns - column);
        const at::Tensor rows = weight.narrow(0, column, width).to(x.scalar_type());
        const at::Tensor part = out.narrow(1, column, width);
        for (std::int64_t row = 0; row < x.size(0); row += height)
            multiply(left.narrow(0, row, height), rows, part.narrow(0, row, height));
    }
    return out;
}

}  // namespace moesweep
