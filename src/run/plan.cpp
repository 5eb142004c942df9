#include "moesweep/run/plan.h"

#include <fmt/format.h>

#include "moesweep/run/layout.h"
#include "moesweep/text/bos.h"

namespace moesweep {
namespace {

std::int64_t stored_bytes(const Weights& weights) {
    std::int64_t bytes = 0;
    for (const auto& [name, view] : weights.checkpoint().stored()) bytes += static_cast<std::int64_t>(view.bytes);
    return bytes;
}

void print(const Job& job, const Workload& work, const Ranks& ranks, const Layout& layout, const char* items) {
    const auto line = print_plan_line;
    line("ranks", fmt::format("{}, {} to a copy of the model", ranks.world, layout.experts));
    line("device", job.device.is_cuda() ? "cuda" : "cpu");
    line("weights", fmt::format("{} on disk, {}", bytes_text(stored_bytes(*job.model.weights)),
                                layout.streamed ? "read layer by layer in every pass" : "resident"));
    line("a pass", fmt::format("{} units of {} {} on a rank, {} {} in a micro-batch", layout.units_per_pass,
                               job.config.run.unit, items, layout.items_per_micro_batch, items));
    const Memory& memory = layout.memory;
    line("memory per rank", fmt::format("{} at most of {}", bytes_text(memory.total()), bytes_text(memory.limit)));
    line("  for the program", bytes_text(memory.program));
    line("  for weights", bytes_text(memory.weights));
    line("  for rows of a pass", bytes_text(memory.rows));
    line("  for micro-batches", bytes_text(memory.step));
    if (memory.total() <= memory.limit) return;
    line("", "this is more than run.memory allows; each of these would fit:");
    for (const auto& way : ways_to_fit(job.config, *job.model.weights, work, ranks)) line("", way);
}

}  // namespace

void print_plan_line(const char* what, const std::string& value) {
    fmt::print("{:<26} {}\n", what, value);
}

std::string bytes_text(std::int64_t bytes) {
    const auto n = static_cast<double>(bytes);
    return bytes < 10'000'000       ? fmt::format("{:.1f} kB", n / 1e3)
           : bytes < 10'000'000'000 ? fmt::format("{:.1f} MB", n / 1e6)
                                    : fmt::format("{:.1f} GB", n / 1e9);
}

void print_model(const Job& job) {
    job.world.together([&] {
        if (!job.world.root()) return;
        for (const std::string& note : job.model.notes) print_plan_line("note", note);
        for (const auto& text : bos_lines(job.model.tokenizer, job.config.model.bos)) print_plan_line("BOS", text);
    });
}

void print_layout(const Job& job, const Workload& work, const char* items) {
    const Ranks ranks = look_at_ranks(job.config, job.world, job.device);
    job.world.together([&] {
        const Layout layout = choose_layout(job.config, *job.model.weights, work, ranks);
        if (job.world.root()) print(job, work, ranks, layout, items);
        expect_to_fit(job.config, layout);
    });
}

}  // namespace moesweep
