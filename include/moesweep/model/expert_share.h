// How ranks divide the experts of a layer.
#pragma once
#include <cstdint>

namespace moesweep {

/// The experts [first, end) of every layer that one rank holds. Ranks in order hold all of them; sizes differ by one at
/// most.
struct ExpertShare {
    std::int64_t first = 0, end = 0;
};
constexpr ExpertShare expert_share(std::int64_t experts, std::int64_t rank, std::int64_t ranks) {
    return {experts * rank / ranks, experts * (rank + 1) / ranks};
}

}  // namespace moesweep
