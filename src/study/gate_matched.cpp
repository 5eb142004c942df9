#include <algorithm>
#include <cmath>
#include <tuple>

#include "moesweep/study.h"

namespace moesweep {

std::optional<std::int32_t> gate_matched_control(std::span<const std::int32_t> experts, std::span<const float> weights,
                                                 std::int32_t selected) {
    const auto place = std::ranges::find(experts, selected);
    if (place == experts.end()) return std::nullopt;
    const double wanted = weights[static_cast<std::size_t>(place - experts.begin())];

    std::optional<std::tuple<double, std::int32_t>> nearest;  // distance, then index: ties go to the lower expert
    for (std::size_t i = 0; i < experts.size(); ++i) {
        const std::tuple candidate(std::abs(weights[i] - wanted), experts[i]);
        if (experts[i] != selected && (!nearest || candidate < *nearest)) nearest = candidate;
    }
    return nearest ? std::optional(std::get<1>(*nearest)) : std::nullopt;
}

}  // namespace moesweep
