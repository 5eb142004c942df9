// A device's time, kernel by kernel.
#pragma once
#include <functional>

namespace moesweep {

/// Runs `action` and prints the kernels and copies that took longest, with their shares of the GPU's time. Profiling
/// slows a run down: look at the shares, not at the seconds.
void print_profile(const std::function<void()>& action);

}  // namespace moesweep
