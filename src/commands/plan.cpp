#include "commands.h"
#include "moesweep/protocol.h"

namespace moesweep {
namespace {

std::string bytes(std::int64_t n) {
    return n < 10'000'000       ? fmt::format("{:.1f} kB", double(n) / 1e3)
           : n < 10'000'000'000 ? fmt::format("{:.1f} MB", double(n) / 1e6)
                                : fmt::format("{:.1f} GB", double(n) / 1e9);
}

}  // namespace

void plan(const Config& config) {
    const Inputs inputs = open_inputs(config);
    const Cost cost = estimate(config, inputs);
    const auto line = [](const char* what, const std::string& value) { fmt::print("{:<26} {}\n", what, value); };
    line("cases",
         fmt::format("{} at most ({} tokens on average, {} at most)", cost.cases, cost.mean_tokens, cost.max_tokens));
    if (cost.sweeps > 1) line("noise conditions", fmt::format("{}, each swept", cost.sweeps));
    line("block rows", std::to_string(cost.blocks));
    line("expert rows", cost.experts_least == cost.experts_most
                            ? std::to_string(cost.experts_least)
                            : fmt::format("{} to {}, by how much the noise changes the routing", cost.experts_least,
                                          cost.experts_most));
    line("coalition rows", std::to_string(cost.coalitions));
    if (cost.subsets > 0) line("subset rows", std::to_string(cost.subsets));
    line("row-layers", fmt::format("{} at most", cost.row_layers));
    line("arithmetic", fmt::format("{:.3g} FLOP at most", cost.flops));
    line("weights", fmt::format("{} on disk, {} for the largest layer in memory", bytes(cost.weight_bytes),
                                bytes(cost.layer_bytes)));
    line("keys and values",
         fmt::format("{} for a unit of {} cases, one layer at a time", bytes(cost.kv_bytes), config.run.unit));
    line("memory per rank", fmt::format("{} at most", bytes(cost.rank_bytes)));
    line("sweep.h5", fmt::format("{} at most", bytes(cost.file_bytes)));
}

}  // namespace moesweep
