// How a pass and whoever waits for it hear of each other.
#pragma once
#include <cstdint>
#include <functional>

namespace moesweep {

struct PassControl {
    /// Called after each layer with the share of the pass that is done, and the rows that the layer moved on.
    std::function<void(double done, std::int64_t rows)> on_progress = [](double, std::int64_t) {};
    std::function<void()> tick = [] {};                 ///< called after every step of some length
    std::function<bool()> stop = [] { return false; };  ///< asked once a micro-batch and MoE layer
};

}  // namespace moesweep
