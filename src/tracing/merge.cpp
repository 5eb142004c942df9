#include <algorithm>

#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

/// The configuration as INI without where things lie and how the work was divided, which change no number.
std::string number_changing_ini(const Config& config) {
    std::string ini, open_section;
    for (const auto& [key, value] : settings(config)) {
        const std::string section = key.substr(0, key.find('.'));
        if (section == "run" || section == "parallel") continue;
        if (key == "model.path" || key == "model.weights" || key == "cases.path") continue;
        if (section != open_section) ini += fmt::format("[{}]\n", section);
        open_section = section;
        ini += fmt::format("{} = {}\n", key.substr(section.size() + 1), value);
    }
    return ini;
}

std::string precision_of(const Config& config) {
    const auto all = settings(config);
    return std::ranges::find(all, "model.precision", &Setting::key)->value;
}

}  // namespace

RunTables read_run(const Config& config, const Store& store, const Scan& scan) {
    const auto read = [&](const Series& series) {
        for (std::int64_t unit = 0; unit < series.units(config); ++unit)
            if (!series.store.has_unit(unit))
                fail(Exit::data, "{}: missing, run trace again", series.store.unit_path(unit).string());
        return series.store.read_units(series.units(config));
    };
    RunTables run{scan.cases, read(main_series(config, store, scan.cases)), {}, {}};
    split_cases(config, run.cases);
    for (const auto& series : condition_series(config, store, scan.cases))
        run.conditions.push_back({series.noise.scale, series.noise.draw, read(series)});
    return run;
}

std::int32_t expert_count(const Scan& scan) {
    for (const auto& [key, value] : scan.meta)
        if (key == "num_experts") return std::stoi(value);
    fail(Exit::data, "cases.h5: meta: num_experts: missing");
}

Study merge_run(const Config& config, const Store& store, const Attributes& provenance) {
    const auto scan = store.read_scan();
    if (!scan) fail(Exit::data, "{}: the scan is not finished, run trace again", store.folder().string());
    RunTables run = read_run(config, store, *scan);
    const auto controls = control_series(config, store, run, select_expert(config, run, expert_count(*scan)));
    if (controls && controls->complete(config)) run.controls = controls->store.read_units(controls->units(config)).rows;
    StudyResults results = run_study(config, run, expert_count(*scan));

    Attributes meta = scan->meta;
    meta.emplace_back("precision", precision_of(config));
    meta.emplace_back("config", number_changing_ini(config));
    store.write_sweep(main_series(config, store, run.cases).units(config), run, results.tables, meta, provenance);
    return std::move(results.study);
}

}  // namespace moesweep
