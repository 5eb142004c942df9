// Numbers as a checkpoint stores them (little-endian, unaligned) and as the run computes with them. A tensor's dtype
// must be BF16, F16 or F32 here, as Checkpoint sees to.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "moesweep/model/safetensors.h"

namespace moesweep {

std::uint64_t element_bytes(const TensorView& view);
std::int64_t element_count(const TensorView& view);

/// Converts whole elements of a tensor to numbers of `dtype`, exactly: `to` gets as many as `bytes` holds. Error(data)
/// names file and tensor if one is a NaN or an infinity. Of another stored type no bf16 can be made: Error(internal).
void convert(const TensorView& view, std::span<const std::byte> bytes, at::ScalarType dtype, void* to);

}  // namespace moesweep
