#include <bit>

#include "moesweep/study.h"

namespace moesweep {

std::vector<double> shapley_values(std::span<const double> values) {
    const auto players = static_cast<std::size_t>(std::countr_zero(values.size()));
    std::vector<double> weight;  // by |S|: 1 / (k C(k-1, |S|)), each from the one before
    for (std::size_t size = 0; size < players; ++size) {
        weight.push_back(size == 0 ? 1.0 / static_cast<double>(players)
                                   : weight.back() * static_cast<double>(size) / static_cast<double>(players - size));
    }
    std::vector<double> shares(players, 0);
    for (std::size_t player = 0; player < players; ++player) {
        const std::size_t bit = std::size_t{1} << player;
        for (std::size_t set = 0; set < values.size(); ++set) {
            if (!(set & bit)) shares[player] += weight[std::popcount(set)] * (values[set | bit] - values[set]);
        }
    }
    return shares;
}

}  // namespace moesweep
