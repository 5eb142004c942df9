#include "stored_form.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

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
bool decode(std::span<const std::byte> bytes, Number* to) {
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

constexpr StoredForm forms[] = {
    {"BF16", 1, 2, decode<Bf16, double>, decode<Bf16, float>, decode<Bf16Bits, std::uint16_t>},
    {"F16", 1, 2, decode<F16, double>, decode<F16, float>, nullptr},
    {"F32", 1, 4, decode<F32, double>, decode<F32, float>, nullptr},
};

}  // namespace

const StoredForm* find_form(std::string_view dtype) {
    const auto found = std::ranges::find(forms, dtype, &StoredForm::dtype);
    return found == std::end(forms) ? nullptr : found;
}

std::string form_names() {
    std::string names;
    for (const StoredForm& form : forms) {
        if (!names.empty()) names += &form == std::end(forms) - 1 ? " or " : ", ";
        names += form.dtype;
    }
    return names;
}

const StoredForm& form_of(const TensorView& view) {
    const StoredForm* form = find_form(view.dtype);
    if (!form) fail(Exit::internal, "{}: {}: dtype {} has no form", view.where(), view.name, view.dtype);
    return *form;
}

std::int64_t element_count(const TensorView& view) {
    return static_cast<std::int64_t>(form_of(view).elements(view.bytes));
}

}  // namespace moesweep
