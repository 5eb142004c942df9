// What a device spends its time on, kernel by kernel.
#pragma once
#include <functional>

namespace moesweep {

/// Runs `action` and prints the kernels and copies of the GPU that took longest, with their share of the time on the
/// GPU. A profiled run is slower than another: its shares count, not its seconds.
void print_profile(const std::function<void()>& action);

}  // namespace moesweep
