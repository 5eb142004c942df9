#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "moesweep/run/layout.h"

namespace moesweep {
namespace {

/// Another way to start the run, and the words for what differs.
struct Change {
    RunConfig config;
    Ranks ranks;
    std::vector<std::string> words;
};

bool fits(const Change& change, const Weights& weights, const Workload& work) {
    const Memory memory = choose_layout(change.config, weights, work, change.ranks).memory;
    return memory.total() <= memory.limit;
}

/// On nodes that each give their memory to `on_node` ranks, with a model's experts divided as auto says, or over all
/// ranks.
Change with_ranks(const RunConfig& config, const Ranks& ranks, std::int64_t nodes, std::int64_t on_node) {
    const std::int64_t nodes_now = ranks.world / ranks.node;
    Change change = {config, ranks, {}};
    const bool fixed = !config.run.memory.is_share();
    change.ranks = {std::max(nodes, nodes_now) * on_node, on_node,
                    fixed ? ranks.memory_limit : ranks.memory_limit / on_node * ranks.node, ranks.program};
    if (nodes > nodes_now)
        change.words.push_back(fmt::format("{} ranks on {} nodes like this", change.ranks.world, nodes));
    else if (on_node < ranks.node)
        change.words.push_back(fmt::format("{} of the {} ranks on a node", on_node, ranks.node));
    change.config.model.weights = WeightsMode::automatic;
    if (config.model.weights != WeightsMode::automatic) change.words.emplace_back("--model.weights=auto");
    auto& experts = change.config.parallel.experts;
    experts = nodes == 1 ? std::nullopt : std::optional(nodes * on_node);
    if (config.parallel.experts != experts)
        change.words.push_back(fmt::format("--parallel.experts={}", experts ? std::to_string(*experts) : "auto"));
    return change;
}

/// The first that fits of: these nodes with fewer and fewer ranks, more and more nodes; each with a smaller unit, too.
std::optional<std::string> least_change(const RunConfig& config, const Weights& weights, const Workload& work,
                                        const Ranks& ranks) {
    const std::int64_t experts = weights.config().router.num_experts;
    const std::int64_t fewest = weights.device().is_cuda() ? ranks.node : 1;  // a rank has its GPU's memory as it is
    for (std::int64_t nodes = 1; nodes == 1 || nodes * fewest <= experts; nodes *= 2) {
        for (std::int64_t on_node = ranks.node; on_node >= fewest; on_node /= 2) {
            if (nodes > 1 && nodes * on_node > experts) continue;
            Change change = with_ranks(config, ranks, nodes, on_node);
            for (const std::int64_t unit : {config.run.unit, std::int64_t{1}}) {
                change.config.run.unit = unit;
                if (!fits(change, weights, work)) continue;
                if (unit != config.run.unit) change.words.emplace_back("--run.unit=1");
                return fmt::format("{}", fmt::join(change.words, ", "));
            }
        }
    }
    return {};
}

/// The same with matrices in bf16, where the checkpoint has them and the run has not.
std::optional<std::string> least_change_in_bf16(const RunConfig& config, const Weights& weights, const Workload& work,
                                                const Ranks& ranks) {
    if (weights.matrix_dtype() == at::kBFloat16) return {};
    const std::string split = "--model.precision=split";
    try {
        const Weights halved(config.model.path, weights.config(), Precision::split, weights.device());
        const auto change = least_change(config, halved, work, ranks);
        return !change ? change : change->empty() ? split : split + ", " + *change;
    } catch (const Error&) {  // not a model in bf16
        return {};
    }
}

}  // namespace

std::vector<std::string> ways_to_fit(const RunConfig& config, const Weights& weights, const Workload& work,
                                     const Ranks& ranks) {
    std::vector<std::string> ways;
    for (const auto& way :
         {least_change_in_bf16(config, weights, work, ranks), least_change(config, weights, work, ranks)})
        if (way) ways.push_back(*way);
    const Memory memory = choose_layout(config, weights, work, ranks).memory;
    const double gigabytes = std::ceil(double(memory.total()) / 1e8) / 10;
    ways.push_back(fmt::format(
        fmt::runtime(config.run.memory.is_share() ? "{:.1f} GB of memory for a rank" : "--run.memory={:.1f}GB"),
        gigabytes));
    return ways;
}

}  // namespace moesweep
