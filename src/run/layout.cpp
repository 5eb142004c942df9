#include "moesweep/run/layout.h"

#include <algorithm>
#include <numeric>

#include "moesweep/comm/gpu.h"

namespace moesweep {
namespace {

constexpr std::int64_t most_base_items = 128;          // more at a time are lost when a search ends among them
constexpr std::int64_t most_micro_batch_rows = 32768;  // more make no product faster
constexpr std::int64_t waiting_for_one = 4;            // items of a pass for each one in flight, where they wait
constexpr std::int64_t line_bytes =
    160;  // of a row: position, run, places in tiles, its line in the results, twice while sorted

std::int64_t element_bytes(const Weights& weights) {
    return weights.dtype() == at::kDouble ? 8 : 4;
}

/// Bytes per row of hidden states that a micro-batch needs beside them, at the worst moment of a layer.
std::int64_t step_bytes_per_row(const Weights& weights, const Workload& work, std::int64_t group) {
    const ModelConfig& m = weights.config();
    const std::int64_t D = m.hidden_size, queries = m.heads.num_attention_heads * m.heads.head_dim,
                       keys = m.heads.num_key_value_heads * m.heads.head_dim, K = m.router.num_experts_per_tok;
    const std::int64_t width = (work.tokens + 15) / 16 * 16;
    // Projected, rotated and gathered into tiles; scores; mixed values and the output they are copied to.
    const std::int64_t attention = 3 * D + 2 * (queries + 2 * keys) + 2 * queries + 2 * keys * (1 + width / 16) +
                                   3 * (width + 1) * m.heads.num_attention_heads + 3 * queries;
    // Contributions per slot beside the normed rows; where they travel, also the rows out and in of two micro-batches
    // and the answers out and in, with room for experts that are asked more than others.
    const std::int64_t copies = std::min(K, group);
    const std::int64_t moe = group == 1 ? (K + 7) * D : (7 + 6 * copies + 5 * K) * D;
    const std::int64_t inner = 6 * m.expert.intermediate_size;  // an expert's rows, at worst all of them at once
    // What meets a matrix in bf16, as its parts and on the way to them.
    const std::int64_t parts = weights.matrix_dtype() == weights.dtype() ? 0 : 3;
    // On a device all slots of all rows are there at once: their terms, products and contributions.
    if (!weights.device().is_cpu() && parts > 0)
        return element_bytes(weights) *
               std::max(attention + 2 * std::max(D, queries), moe + K * (3 * D + 4 * m.expert.intermediate_size));
    return element_bytes(weights) *
           std::max(attention + parts * std::max(D, queries), moe + inner + parts * (D + m.expert.intermediate_size));
}

/// Bytes of an item on its way through a pass: its rows and their lines.
std::int64_t flight_bytes_per_item(const Weights& weights, const Workload& work) {
    return work.rows() * (weights.config().hidden_size * element_bytes(weights) + line_bytes) + work.flight_bytes;
}

std::int64_t weight_bytes(const Weights& weights, std::int64_t group, bool streamed) {
    std::int64_t sum = 0, largest = 0;
    for (std::int64_t l = 0; l < weights.config().num_hidden_layers; ++l) {
        std::int64_t bytes = 0;  // shares differ by one expert: the largest counts
        for (const std::int64_t rank : {std::int64_t{0}, group - 1})
            bytes =
                std::max(bytes, weights.layer_bytes(l, expert_share(weights.config().router.num_experts, rank, group)));
        sum += bytes;
        largest = std::max(largest, bytes);
    }
    return streamed ? 2 * largest : sum;
}

/// The layout of a way to hold the weights: as large micro-batches as half of the free memory holds, then as many units
/// as the rest holds where that saves reading. Its memory is beyond the limit if not even single items fit.
Layout lay_out(const RunConfig& config, const Weights& weights, const Workload& work, const Ranks& ranks,
               std::int64_t group, bool streamed) {
    Layout layout{.experts = group, .streamed = streamed};
    layout.memory = {ranks.memory_limit, ranks.program, weight_bytes(weights, group, streamed)};
    const std::int64_t free = ranks.memory_limit - layout.memory.total(), unit = config.run.unit;
    const std::int64_t rows = work.rows(), per_row = step_bytes_per_row(weights, work, group);
    const std::int64_t flight = flight_bytes_per_item(weights, work), results = work.kept_bytes;
    const std::int64_t kept = work.waits ? results + flight / waiting_for_one : results + flight;
    const auto share = [](std::int64_t n, std::int64_t parts) { return (n + parts - 1) / parts; };

    const std::int64_t busiest = share(std::max<std::int64_t>(work.items, 1), share(ranks.world, group) * group);
    const std::int64_t units_wanted = share(streamed ? busiest : std::min(busiest, work.items_wanted), unit);
    const std::int64_t unit_items = std::min(unit, std::max<std::int64_t>(work.items, 1));
    layout.items_per_micro_batch =
        std::clamp(std::min((free - unit_items * kept) / 2 / per_row, most_micro_batch_rows) / rows, std::int64_t{1},
                   std::min(units_wanted * unit_items, std::max<std::int64_t>(work.items, 1)));
    layout.memory.step = layout.items_per_micro_batch * rows * per_row;
    layout.units_per_pass =
        std::clamp((free - layout.memory.step) / (unit_items * kept), std::int64_t{1}, units_wanted);
    layout.items_in_flight = layout.units_per_pass * unit_items;
    layout.memory.rows = layout.items_in_flight * kept;
    if (work.waits) {
        const std::int64_t room = free - layout.memory.step - layout.items_in_flight * results;
        layout.memory.rows = layout.items_in_flight * results;
        layout.items_in_flight = std::clamp(room / flight, std::int64_t{1}, layout.items_in_flight);
        layout.memory.rows += layout.items_in_flight * flight;
    }

    // A pass over a streamed model shall have many items.
    const std::int64_t base_rows = std::max<std::int64_t>(work.base_rows, 1);
    const std::int64_t room = (layout.memory.rows + layout.memory.step) /
                              (base_rows * (per_row + weights.config().hidden_size * element_bytes(weights)));
    layout.items_per_base_pass = std::clamp<std::int64_t>(room, 1, streamed ? 8 * most_base_items : most_base_items);
    return layout;
}

}  // namespace

std::int64_t Layout::micro_batches(std::int64_t items) const {
    const std::int64_t needed = (items + items_per_micro_batch - 1) / items_per_micro_batch;
    return std::max<std::int64_t>(needed, experts > 1 && items > 1 ? 2 : 1);
}

Ranks look_at_ranks(const RunConfig& config, const Comm& world, c10::Device device) {
    const Comm node = world.node();
    const bool on_gpu = device.is_cuda();
    const auto devices = node.gather_all(std::vector<double>{double(device.index())});
    const auto sharing = on_gpu ? std::ranges::count(devices, double(device.index())) : node.size();
    node.barrier();  // who shares a GPU looks at its memory before anybody takes any
    const std::int64_t available = on_gpu ? free_gpu_memory() : available_memory();
    const MemorySize& asked = config.run.memory;
    const std::int64_t limit =
        asked.is_share()
            ? static_cast<std::int64_t>(asked.share() * static_cast<double>(available) / static_cast<double>(sharing))
            : asked.bytes();
    const auto extreme = [&](double mine, auto pick) {
        const auto all = world.gather_all(std::vector<double>{mine});
        return static_cast<std::int64_t>(*pick(all.begin(), all.end()));
    };
    const auto least = [](auto begin, auto end) { return std::min_element(begin, end); };
    const auto most = [](auto begin, auto end) { return std::max_element(begin, end); };
    return {world.size(), extreme(node.size(), least), extreme(static_cast<double>(limit), least),
            on_gpu ? 0 : extreme(static_cast<double>(resident_memory()), most)};
}

Layout choose_layout(const RunConfig& config, const Weights& weights, const Workload& work, const Ranks& ranks) {
    std::vector<std::int64_t> groups;
    if (config.parallel.experts) {
        groups = {*config.parallel.experts};
        if (groups[0] > ranks.world)
            fail(Exit::usage, "parallel.experts: {} ranks to a group are more than the {} that run", groups[0],
                 ranks.world);
    } else {
        for (std::int64_t group = 1; group <= ranks.node; group *= 2) groups.push_back(group);
    }
    std::vector<bool> modes = {false, true};
    if (config.model.weights != WeightsMode::automatic) modes = {config.model.weights == WeightsMode::streamed};

    std::optional<Layout> smallest;
    for (const bool streamed : modes) {
        for (const auto group : groups) {
            const Layout layout = lay_out(config, weights, work, ranks, group, streamed);
            if (layout.memory.total() <= layout.memory.limit) return layout;
            if (!smallest || layout.memory.total() < smallest->memory.total()) smallest = layout;
        }
    }
    return *smallest;
}

void expect_to_fit(const RunConfig& config, const Layout& layout) {
    if (layout.memory.total() <= layout.memory.limit || config.run.memory.is_share()) return;
    fail(Exit::usage, "run.memory: {} is too little, at least {:.0f} MB are needed", config.run.memory.text(),
         static_cast<double>(layout.memory.total()) / 1e6 + 1);
}

Comm expert_group(const Comm& world, std::int64_t experts) {
    const Comm node = world.node();
    const auto ranks_of_node = node.gather_all(std::vector<double>{double(world.rank())});
    const auto first_of_node = world.gather_all(std::vector<double>{ranks_of_node[0]});
    std::vector<int> order(static_cast<std::size_t>(world.size()));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](int rank) { return first_of_node[static_cast<std::size_t>(rank)]; });
    const auto position = std::ranges::find(order, world.rank()) - order.begin();
    const std::int64_t groups = std::max<std::int64_t>(world.size() / experts, 1);
    return world.split(static_cast<int>(position * groups / world.size()), static_cast<int>(position));
}

}  // namespace moesweep
