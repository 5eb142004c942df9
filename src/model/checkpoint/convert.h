// Stored numbers as the run computes with them.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <span>

#include "moesweep/model/safetensors.h"

namespace moesweep {

/// Converts whole blocks of a tensor to numbers of `dtype`, exactly: `to` gets as many as `bytes` holds. Error(data)
/// names file and tensor if one is a NaN or an infinity, Error(internal) where numbers would be rounded.
void convert(const TensorView& view, std::span<const std::byte> bytes, at::ScalarType dtype, void* to);

}  // namespace moesweep
