// Matrix products in tiles of a fixed number of rows, see row_arithmetic.h.
#pragma once
#include <ATen/core/Tensor.h>

#include "moesweep/config/config.h"

namespace moesweep {

/// x [n, in] with zero rows added up to a whole number of tiles.
at::Tensor pad_rows(const at::Tensor& x);

/// x [n, in] times weight [out, in] transposed, tile by tile; x holds whole tiles.
at::Tensor multiply_tiles(const at::Tensor& x, const at::Tensor& weight, Precision precision);

}  // namespace moesweep
