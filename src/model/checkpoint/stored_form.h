// How numbers are stored in checkpoints: a table of forms. A form stores blocks of some elements in some bytes
// (little-endian, unaligned); all that reads works by whole blocks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "moesweep/model/safetensors.h"

namespace moesweep {

struct StoredForm {
    std::string_view dtype;  ///< in a safetensors header
    std::uint64_t block_elements, block_bytes;

    /// Decode whole blocks to as many numbers as they hold, exactly. False if one is a NaN or an infinity.
    bool (*to_double)(std::span<const std::byte> blocks, double* to);
    bool (*to_float)(std::span<const std::byte> blocks, float* to);
    bool (*to_bf16)(std::span<const std::byte> blocks, std::uint16_t* to);  ///< nullptr where it would round

    /// Bytes of a tensor to elements, and back; whole blocks.
    std::uint64_t elements(std::uint64_t bytes) const { return bytes / block_bytes * block_elements; }
    std::uint64_t bytes(std::uint64_t elements) const { return elements / block_elements * block_bytes; }
};

/// nullptr if no form has this name.
const StoredForm* find_form(std::string_view dtype);
/// "BF16, F16 or F32", for messages.
std::string form_names();

/// Of a tensor whose dtype is a form's, as Checkpoint sees to.
const StoredForm& form_of(const TensorView& view);
std::int64_t element_count(const TensorView& view);

}  // namespace moesweep
