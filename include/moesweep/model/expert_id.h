#pragma once
#include <compare>
#include <cstdint>

namespace moesweep {

/// A routed expert of a model.
struct ExpertId {
    std::int32_t layer = 0;   ///< decoder layer, from 0
    std::int32_t expert = 0;  ///< within its layer
    auto operator<=>(const ExpertId&) const = default;
};

}  // namespace moesweep
