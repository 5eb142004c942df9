// What a rank did and sent at each layer, over all passes: for the log.
#pragma once
#include <cstdint>
#include <vector>

namespace moesweep {

struct LayerTraffic {
    std::int64_t rows = 0;            ///< sent to other ranks
    std::int64_t bytes = 0;           ///< sent to other ranks, answers included
    std::int64_t slots_computed = 0;  ///< (row, expert) pairs run by this rank's experts
    double seconds_computing = 0, seconds_waiting = 0, seconds_sending = 0;  ///< in experts; for others; for the counts
};
using Traffic = std::vector<LayerTraffic>;

}  // namespace moesweep
