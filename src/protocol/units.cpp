#include <algorithm>

#include "moesweep/protocol.h"

namespace moesweep {
namespace {

/// Units [0, count) that are not committed yet.
std::vector<std::int64_t> missing_units(const Store& store, std::int64_t count) {
    std::vector<std::int64_t> missing;
    for (std::int64_t unit = 0; unit < count; ++unit)
        if (!store.has_unit(unit)) missing.push_back(unit);
    return missing;
}

UnitTables compute_unit(const Config& config, const Inputs& inputs, const std::vector<Case>& cases,
                        const Series& series, std::int64_t unit, PassPlan plan) {
    const auto first = static_cast<std::size_t>(unit * config.run.unit);
    const auto end = std::min(first + static_cast<std::size_t>(config.run.unit), series.members.size());
    std::vector<PassCase> pass_cases;
    for (std::size_t i = first; i < end; ++i) {
        const std::int32_t index = series.members[i];
        pass_cases.push_back(
            make_pass_case(config, inputs, cases[static_cast<std::size_t>(index)], index, series.noise));
        if (!series.pairs.empty()) pass_cases.back().pair = series.pairs[i];
    }
    UnitTables tables = run_pass(inputs.model, *inputs.weights, pass_cases, plan).tables;
    tables.case_begin = series.members[first];
    tables.case_end = series.members[end - 1] + 1;
    return tables;
}

}  // namespace

bool compute_series(const Config& config, const Inputs& inputs, const std::vector<Case>& cases, const Series& series,
                    const std::vector<SitePlan>& sites, const Comm& comm, Progress& progress) {
    const std::int64_t count = series.units(config);
    const auto layers = static_cast<double>(inputs.model.num_hidden_layers);
    std::vector<std::int64_t> missing;
    comm.together([&] { missing = missing_units(series.store, count); });
    comm.barrier();  // nobody commits before everybody has looked, so all deal from the same list
    if (missing.empty()) return true;

    const auto done = [&] { return count - static_cast<std::int64_t>(missing_units(series.store, count).size()); };
    progress.begin(series.title, done(), count);
    comm.together([&] {
        const auto ranks = static_cast<std::size_t>(comm.size());
        for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < missing.size() && !stop_requested();
             i += ranks) {
            const std::int64_t done_before = done();
            const auto on_layer = [&](std::int64_t layer, std::int64_t rows) {
                progress.update(done_before, static_cast<double>(layer + 1) / layers, rows);
            };
            const PassPlan plan{sites, series.vectors, /*routing=*/true, on_layer};
            series.store.write_unit(missing[i], compute_unit(config, inputs, cases, series, missing[i], plan));
            progress.update(done(), 0, 0);
        }
    });
    progress.update(done(), 0, 0);
    progress.end();
    return comm.broadcast(done() == count ? "all" : "some") == "all";
}

}  // namespace moesweep
