#include "commands.h"
#include "moesweep/run/device.h"
#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

std::string bytes(std::int64_t n) {
    return n < 10'000'000       ? fmt::format("{:.1f} kB", double(n) / 1e3)
           : n < 10'000'000'000 ? fmt::format("{:.1f} MB", double(n) / 1e6)
                                : fmt::format("{:.1f} GB", double(n) / 1e9);
}

void print_plan(const Config& config, const Inputs& inputs, const Cost& cost, const Ranks& ranks,
                const Layout& layout) {
    const auto line = [](const char* what, const std::string& value) { fmt::print("{:<26} {}\n", what, value); };
    for (const std::string& note : inputs.notes) line("note", note);
    line("cases",
         fmt::format("{} at most ({} tokens on average, {} at most)", cost.cases, cost.mean_tokens, cost.max_tokens));
    for (const auto& text : bos_lines(inputs.tokenizer, config.model.bos)) line("BOS", text);
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
    line("sweep.h5", fmt::format("{} at most", bytes(cost.file_bytes)));

    line("ranks", fmt::format("{}, {} to a copy of the model", ranks.world, layout.experts));
    line("device", inputs.weights->device().is_cuda() ? "cuda" : "cpu");
    line("weights", fmt::format("{} on disk, {}", bytes(cost.weight_bytes),
                                layout.streamed ? "read layer by layer in every pass" : "resident"));
    line("a pass", fmt::format("{} units of {} cases on a rank, {} cases in a micro-batch", layout.units_per_pass,
                               config.run.unit, layout.cases_per_micro_batch));
    const Memory& memory = layout.memory;
    line("memory per rank", fmt::format("{} at most of {}", bytes(memory.total()), bytes(memory.limit)));
    line("  for the program", bytes(memory.program));
    line("  for weights", bytes(memory.weights));
    line("  for rows of a pass", bytes(memory.rows));
    line("  for micro-batches", bytes(memory.step));
    if (memory.total() <= memory.limit) return;
    line("", "this is more than run.memory allows; each of these would fit:");
    for (const auto& way : ways_to_fit(config, *inputs.weights, cost.work, ranks)) line("", way);
}

}  // namespace

void plan(Config config, const Comm& comm) {
    const c10::Device device = settle_device(config, comm);
    const Inputs inputs = open_inputs(config, comm, device);
    const Cost cost = estimate(config, inputs);
    const Ranks ranks = look_at_ranks(config, comm, device);
    comm.together([&] {
        const Layout layout = choose_layout(config, *inputs.weights, cost.work, ranks);
        if (comm.root()) print_plan(config, inputs, cost, ranks, layout);
        expect_to_fit(config, layout);
    });
}

}  // namespace moesweep
