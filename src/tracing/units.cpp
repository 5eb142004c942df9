#include <algorithm>

#include "run/dealer.h"
#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

/// Units [0, count) that are not committed yet.
std::vector<std::int64_t> missing_units(const Store& store, std::int64_t count) {
    std::vector<std::int64_t> missing;
    for (std::int64_t unit = 0; unit < count; ++unit)
        if (!store.has_unit(unit)) missing.push_back(unit);
    return missing;
}

/// The members of a unit: indices into series.members.
struct Range {
    std::size_t begin, end;
};

Range members_of(const Config& config, const Series& series, std::int64_t unit) {
    const auto size = static_cast<std::size_t>(config.run.unit), begin = static_cast<std::size_t>(unit) * size;
    return {begin, std::min(begin + size, series.members.size())};
}

std::vector<PassCase> make_pass_cases(const Config& config, const Inputs& inputs, const std::vector<Case>& cases,
                                      const Series& series, const std::vector<std::int64_t>& units) {
    std::vector<PassCase> pass_cases;
    for (const auto unit : units) {
        const auto [begin, end] = members_of(config, series, unit);
        for (std::size_t i = begin; i < end; ++i) {
            const std::int32_t index = series.members[i];
            pass_cases.push_back(
                make_pass_case(config, inputs, cases[static_cast<std::size_t>(index)], index, series.noise));
            if (!series.pairs.empty()) pass_cases.back().pair = series.pairs[i];
        }
    }
    return pass_cases;
}

/// The lines of cases [begin, end) of a table that is sorted by case.
template <class Table>
Range lines_of(const Table& table, std::int32_t begin, std::int32_t end) {
    const auto place = [&](std::int32_t c) {
        return static_cast<std::size_t>(std::ranges::lower_bound(table.case_index, c) - table.case_index.begin());
    };
    return {place(begin), place(end)};
}

/// What a pass over several units found for one of them.
UnitTables tables_of_unit(const UnitTables& pass, std::int32_t case_begin, std::int32_t case_end) {
    const Range base = lines_of(pass.base, case_begin, case_end),
                routing = lines_of(pass.routing, case_begin, case_end),
                rows = lines_of(pass.rows, case_begin, case_end);
    UnitTables unit;
    unit.case_begin = case_begin;
    unit.case_end = case_end;
    unit.routing.k = pass.routing.k;
    append(unit.base, pass.base, base.begin, base.end);
    append(unit.routing, pass.routing, routing.begin, routing.end);
    append(unit.rows, pass.rows, rows.begin, rows.end);
    for (const VectorTable& vectors : pass.vectors) {
        const auto [begin, end] = vectors.name == "output" ? routing : rows;
        const auto first = vectors.values.begin();
        unit.vectors.push_back({vectors.name,
                                vectors.width,
                                {first + static_cast<std::ptrdiff_t>(begin) * vectors.width,
                                 first + static_cast<std::ptrdiff_t>(end) * vectors.width}});
    }
    return unit;
}

void commit(const Config& config, const Series& series, const std::vector<std::int64_t>& units,
            const UnitTables& pass) {
    Comm::stay_if_ending();
    for (const auto unit : units) {
        const auto [begin, end] = members_of(config, series, unit);
        series.store.write_unit(unit, tables_of_unit(pass, series.members[begin], series.members[end - 1] + 1));
    }
}

}  // namespace

bool compute_series(const Config& config, const Inputs& inputs, const std::vector<Case>& cases, const Series& series,
                    const std::vector<SitePlan>& sites, Crew& crew) {
    const std::int64_t count = series.units(config);
    std::vector<std::int64_t> missing;
    crew.world.together([&] {
        if (crew.world.root()) missing = missing_units(series.store, count);
    });
    const std::int64_t to_do = crew.world.broadcast(std::vector{static_cast<std::int64_t>(missing.size())})[0];
    if (to_do == 0) return true;

    Dealer dealer(crew.world, crew.group, std::move(missing), crew.layout.units_per_pass, crew.deadline);
    const auto done = [&] { return count - to_do + dealer.done(); };
    const auto serve = [&] {
        crew.watchdog.tick();
        dealer.serve(stop_requested());
    };
    const auto layers = static_cast<double>(inputs.model.num_hidden_layers);
    crew.watchdog.phase("sweep");
    crew.progress.begin(series.title, done(), count);

    std::optional<Error> failure;  // of this rank; told at the end, when the others have finished what they had in hand
    const auto attempt = [&](auto&& step) {
        try {
            step();
        } catch (const Error& error) {
            crew.progress.note(error.what());
            failure = error;
        }
    };
    while (const auto units = dealer.next(failure.has_value())) {
        const auto hand = static_cast<double>(dealer.busiest() * crew.group.size());
        PassPlan plan{sites, series.vectors};
        plan.micro_batches = crew.layout.micro_batches(dealer.busiest() * config.run.unit);
        plan.tick = serve;
        plan.stop = [&] { return serve(), dealer.stopping(); };
        plan.on_layer = [&](std::int64_t layer, std::int64_t rows) {
            crew.progress.update(done(), hand * static_cast<double>(layer + 1) / layers, rows);
        };
        std::optional<PassResult> result;
        const auto pass = [&] {
            const auto pass_cases = make_pass_cases(config, inputs, cases, series, *units);
            result = run_pass({*inputs.weights, *crew.layers, crew.group}, pass_cases, plan, &crew.traffic);
        };
        if (crew.group.size() == 1)
            attempt(pass);
        else
            pass();  // the others of the group wait for this rank in every step: an Error here ends the run at once
        if (result) attempt([&] { commit(config, series, *units, result->tables); });
        if (!result && !failure) dealer.serve(/*wish=*/true);  // left in the middle, maybe for the wish of another
        crew.progress.update(done(), 0, 0);
    }
    crew.world.together([&] {
        if (failure) throw Error(*failure);
    });
    crew.watchdog.phase("swept", Watchdog::Signs::work);
    crew.progress.update(done(), 0, 0);
    crew.progress.end();
    bool complete = false;
    crew.world.together([&] { complete = !crew.world.root() || missing_units(series.store, count).empty(); });
    return !crew.world.any(!complete);
}

}  // namespace moesweep
