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
                        std::span<const std::int32_t> members,
                        const std::function<void(std::int64_t, std::int64_t)>& on_layer) {
    std::vector<PassCase> pass_cases;
    for (const auto index : members)
        pass_cases.push_back(make_pass_case(config, inputs, cases[static_cast<std::size_t>(index)], index));
    const PassPlan plan{inputs.patched_layers, config.sweep, config.store.vectors, /*routing=*/true, on_layer};
    UnitTables tables = run_pass(inputs.model, *inputs.weights, pass_cases, plan).tables;
    tables.case_begin = members.front();
    tables.case_end = members.back() + 1;
    return tables;
}

}  // namespace

std::int64_t unit_count(const Config& config, const std::vector<Case>& cases) {
    const auto usable = static_cast<std::int64_t>(usable_cases(cases).size());
    return (usable + config.run.unit - 1) / config.run.unit;
}

bool sweep_units(const Config& config, const Inputs& inputs, const std::vector<Case>& cases, const Store& store,
                 const Comm& comm, Progress& progress) {
    const std::vector<std::int32_t> usable = usable_cases(cases);
    const std::int64_t count = unit_count(config, cases);
    std::vector<std::int64_t> missing;
    comm.together([&] { missing = missing_units(store, count); });
    comm.barrier();  // nobody commits before everybody has looked, so all deal from the same list
    progress.begin("units", count - static_cast<std::int64_t>(missing.size()), count);

    bool finished = true;
    comm.together([&] {
        for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < missing.size();
             i += static_cast<std::size_t>(comm.size())) {
            if (stop_requested()) {
                finished = false;
                return;
            }
            const auto first = static_cast<std::size_t>(missing[i] * config.run.unit);
            const auto size = std::min(static_cast<std::size_t>(config.run.unit), usable.size() - first);
            const std::int64_t done = count - static_cast<std::int64_t>(missing_units(store, count).size());
            const auto on_layer = [&](std::int64_t layer, std::int64_t rows) {
                progress.update(
                    done, static_cast<double>(layer + 1) / static_cast<double>(inputs.model.num_hidden_layers), rows);
            };
            store.write_unit(missing[i],
                             compute_unit(config, inputs, cases, std::span(usable).subspan(first, size), on_layer));
            progress.update(count - static_cast<std::int64_t>(missing_units(store, count).size()), 0, 0);
        }
    });
    return finished;
}

}  // namespace moesweep
