// How benchmarks measure.
#pragma once
#include <algorithm>
#include <chrono>
#include <vector>

namespace moesweep {

double seconds_of(auto&& action) {
    const auto begin = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

}  // namespace moesweep
