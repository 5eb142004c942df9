// A run of any size without a model: units drawn from a seed, in the shape of Qwen3-30B-A3B's sweep, and what merging
// them takes.
//
//     build/cpu/merge_scale write FOLDER [CASES [DRAWS]]      48 layers x 15 rows a case and draw of the noise
//     build/cpu/merge_scale merge FOLDER                      seconds, peak memory, size of sweep.h5
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <numeric>
#include <random>

#include "moesweep/base/files.h"
#include "moesweep/tracing/merge.h"
#include "timing.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

constexpr std::int32_t layers = 48, experts = 128, k = 8;
constexpr std::int32_t shared = 4;  // experts that both runs of a case are routed to: 12 of the two times 8 differ
constexpr std::int32_t planted_layer = 20, planted_expert = 7;

/// Experts of a case at a layer, the clean run's 8 first: those of the noised run are the last 8 of the 12.
std::vector<std::int32_t> draw_experts(std::mt19937_64& random, std::int32_t layer) {
    std::vector<std::int32_t> drawn;
    if (layer == planted_layer && random() % 8 != 0) drawn.push_back(planted_expert);
    while (drawn.size() < 2 * k - shared) {
        const auto e = static_cast<std::int32_t>(random() % experts);
        if (std::ranges::find(drawn, e) == drawn.end()) drawn.push_back(e);
    }
    return drawn;
}

void add_routing(RoutingTable& table, std::int32_t c, std::int32_t layer, RunKind run, std::span<const std::int32_t> e,
                 std::mt19937_64& random) {
    table.case_index.push_back(c);
    table.layer.push_back(layer);
    table.run.push_back(run);
    table.expert.insert(table.expert.end(), e.begin(), e.end());
    for (std::int32_t slot = 0; slot < k; ++slot) {
        table.weight.push_back(0.2f - 0.02f * static_cast<float>(slot));
        table.contribution_norm.push_back(static_cast<float>(random() % 4096) / 1024);
    }
    table.gap.push_back(static_cast<float>(random() % 4096) / 65536);
}

void add_row(RowTable& table, std::int32_t c, std::int32_t layer, Kind kind, std::int32_t expert, bool clean,
             bool noised, double rescue) {
    table.case_index.push_back(c);
    table.layer.push_back(layer);
    table.kind.push_back(kind);
    table.expert.push_back(expert);
    table.members.push_back(0);
    table.scale.push_back(1);
    table.patch_norm.push_back(static_cast<float>(rescue * rescue));
    table.clean_active.push_back(clean);
    table.noised_active.push_back(noised);
    table.delta.push_back(rescue - 1);
    table.rescue.push_back(rescue);
}

/// The tables of cases [begin, end) under a draw of the noise.
UnitTables unit_of(std::int32_t begin, std::int32_t end, std::int32_t draw) {
    UnitTables unit{{begin, end}, {}, {}, {}};
    unit.routing.k = k;
    for (std::int32_t c = begin; c < end; ++c) {
        std::mt19937_64 random(static_cast<std::uint64_t>(draw) << 32 | static_cast<std::uint64_t>(c));
        std::normal_distribution<double> noise(0, 0.5);
        unit.base.case_index.push_back(c);
        unit.base.delta_clean.push_back(2);
        unit.base.delta_noised.push_back(-1);
        for (std::int32_t layer = 0; layer < layers; ++layer) {
            const auto drawn = draw_experts(random, layer);
            const std::span clean = std::span(drawn).first(k), noised = std::span(drawn).last(k);
            add_routing(unit.routing, c, layer, RunKind::clean, clean, random);
            add_routing(unit.routing, c, layer, RunKind::noised, noised, random);
            const double planted = layer == planted_layer ? 0.8 : 0.1;
            add_row(unit.rows, c, layer, Kind::block, -1, false, false, planted + noise(random));
            std::vector<std::int32_t> ascending = drawn;
            std::ranges::sort(ascending);
            for (const std::int32_t e : ascending)
                add_row(unit.rows, c, layer, Kind::expert, e, std::ranges::find(clean, e) != clean.end(),
                        std::ranges::find(noised, e) != noised.end(),
                        (e == planted_expert ? planted : 0) + noise(random));
            add_row(unit.rows, c, layer, Kind::coalition_clean, -1, false, false, planted + noise(random));
            add_row(unit.rows, c, layer, Kind::coalition_union, -1, false, false, planted + noise(random));
        }
    }
    return unit;
}

std::vector<Case> usable_cases(std::int32_t n) {
    std::vector<Case> cases(static_cast<std::size_t>(n));
    for (std::int32_t c = 0; c < n; ++c) {
        Case& item = cases[static_cast<std::size_t>(c)];
        item.record = c;
        item.fact = {c, fmt::format("P{}", c % 34), "subject", "subject lives in", "here", "there"};
        item.tokens = {1, 2, 3, 4, 5, 6, 7, 8};
        item.subject_end = 1;
        item.true_id = 1;
        item.foil_id = 2;
        item.delta_clean = 2;
        item.delta_noised = -1;
    }
    return cases;
}

void write(const fs::path& folder, std::int32_t cases, std::int32_t draws) {
    TracingConfig config;
    config.cases.limit = 0;
    config.cases.discovery = cases / 2;
    config.select.recurrence = cases / 4;
    config.noise.draws = draws;
    const Store store(folder);
    store.open(to_ini(config), {{"made by", "merge_scale"}});
    write_scan(store, {usable_cases(cases), {{"num_experts", std::to_string(experts)}}});
    const auto read = read_scan(store, config);
    std::vector<Series> all = condition_series(config, store, read->cases);
    all.insert(all.begin(), main_series(config, store, read->cases));
    std::int64_t rows = 0;
    for (const Series& series : all) {
        const auto unit = static_cast<std::int32_t>(config.run.unit);
        for (std::int32_t u = 0; u < series.units.count; ++u) {
            const UnitTables tables = unit_of(u * unit, std::min(cases, (u + 1) * unit), series.noise.draw);
            rows += static_cast<std::int64_t>(tables.rows.size());
            series.units.store.write_unit(u, tables);
        }
    }
    fmt::print("{} rows of {} cases x {} draws\n", rows, cases, draws);
}

/// The most memory that this process has had, in bytes.
std::int64_t peak_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
    return 0;
}

void merge(const fs::path& folder) {
    const std::string file = (folder / "config.ini").string();
    const auto config = parse_config<TracingConfig>(read_file(file), file);
    const Store store(folder);
    const auto before = peak_memory();
    const std::clock_t begin = std::clock();
    const double seconds = seconds_of([&] { merge_run(config, store, {{"command", "merge_scale"}}); });
    fmt::print(
        "merged in {:.1f} s, {:.1f} s of the processor, at most {:.2f} GB of memory ({:.2f} GB before), sweep.h5 "
        "{:.2f} GB\n",
        seconds, double(std::clock() - begin) / CLOCKS_PER_SEC, 1e-9 * double(peak_memory()), 1e-9 * double(before),
        1e-9 * double(fs::file_size(folder / "sweep.h5")));
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto number = [&](std::size_t i, int otherwise) {
        return i < arguments.size() ? std::stoi(arguments[i]) : otherwise;
    };
    try {
        if (arguments.size() >= 2 && arguments[0] == "write")
            write(arguments[1], number(2, 2000), number(3, 1));
        else if (arguments.size() == 2 && arguments[0] == "merge")
            merge(arguments[1]);
        else
            fail(Exit::usage, "usage: merge_scale write FOLDER [CASES [DRAWS]] | merge_scale merge FOLDER");
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
