// How a pass and whoever waits for it hear of each other.
#pragma once
#include <cstdint>
#include <functional>

namespace moesweep {

struct PassControl {
    /// Called after each layer with the rows that it moved on.
    std::function<void(std::int64_t layer, std::int64_t rows)> on_layer = [](std::int64_t, std::int64_t) {};
    std::function<void()> tick = [] {};                 ///< called after every step of some length
    std::function<bool()> stop = [] { return false; };  ///< asked once a micro-batch and MoE layer
};

}  // namespace moesweep
