#include "stored.h"

#include <bit>
#include <cstring>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// How a stored element becomes a number, and which bit patterns are none (exponent all ones).
struct Bf16 {
    using Bits = std::uint16_t;
    static constexpr Bits exponent = 0x7f80;
    static float value(Bits bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};
struct Bf16Bits : Bf16 {
    static std::uint16_t value(Bits bits) { return bits; }
};
struct F16 {
    using Bits = std::uint16_t;
    static constexpr Bits exponent = 0x7c00;
    /// The fields moved to their places in a float, whose exponent is biased by 112 more. Exact, subnormals too.
    static float value(Bits bits) {
        const float magnitude = std::bit_cast<float>((bits & 0x7fffu) << 13) * 0x1p112f;
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | (bits & 0x8000u) << 16);
    }
};
struct F32 {
    using Bits = std::uint32_t;
    static constexpr Bits exponent = 0x7f800000;
    static float value(Bits bits) { return std::bit_cast<float>(bits); }
};

/// False if an element was NaN or infinite. What was found is gathered in masks as wide as an element: so the compiler
/// makes vectors of the loop.
template <class Stored, class Number>
bool convert_all(std::span<const std::byte> bytes, Number* to) {
    using Bits = typename Stored::Bits;
    Bits spoilt = 0;
    const std::size_t count = bytes.size() / sizeof(Bits);
    for (std::size_t i = 0; i < count; ++i) {
        Bits bits;
        std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof(Bits));
        spoilt |= static_cast<Bits>(-Bits((bits & Stored::exponent) == Stored::exponent));
        to[i] = Stored::value(bits);
    }
    return spoilt == 0;
}

/// The same for any stored type.
template <class Number>
bool convert_from(const std::string& dtype, std::span<const std::byte> bytes, void* memory) {
    const auto to = static_cast<Number*>(memory);
    return dtype == "BF16"  ? convert_all<Bf16>(bytes, to)
           : dtype == "F16" ? convert_all<F16>(bytes, to)
                            : convert_all<F32>(bytes, to);
}

}  // namespace

std::uint64_t element_bytes(const TensorView& view) {
    return view.dtype == "F32" ? 4 : 2;
}

std::int64_t element_count(const TensorView& view) {
    return static_cast<std::int64_t>(view.bytes / element_bytes(view));
}

void convert(const TensorView& view, std::span<const std::byte> bytes, at::ScalarType dtype, void* to) {
    bool finite = false;
    if (dtype == at::kDouble)
        finite = convert_from<double>(view.dtype, bytes, to);
    else if (dtype == at::kFloat)
        finite = convert_from<float>(view.dtype, bytes, to);
    else if (dtype == at::kBFloat16 && view.dtype == "BF16")
        finite = convert_all<Bf16Bits>(bytes, static_cast<std::uint16_t*>(to));
    else
        fail(Exit::internal, "{}: {}: {} cannot become {}", view.where(), view.name, view.dtype, c10::toString(dtype));
    if (!finite) fail(Exit::data, "{}: {}: holds a NaN or an infinity", view.where(), view.name);
}

}  // namespace moesweep
