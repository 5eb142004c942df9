#include "moesweep/protocol.h"

namespace moesweep {

Study merge_run(const Config& config, const Store& store, const Attributes& provenance) {
    auto scan = store.read_scan();
    if (!scan) fail(Exit::data, "{}: the scan is not finished, run trace again", store.folder().string());
    const std::int64_t units = unit_count(config, scan->cases);
    for (std::int64_t unit = 0; unit < units; ++unit)
        if (!store.has_unit(unit)) fail(Exit::data, "{}: missing, run trace again", store.unit_path(unit).string());

    split_cases(scan->cases, config.cases.seed, config.cases.discovery);
    const UnitTables joined = store.read_units(units);
    std::int32_t experts = 0;
    for (const auto& [key, value] : scan->meta)
        if (key == "num_experts") experts = std::stoi(value);
    const Study study = run_study(config, scan->cases, joined.routing, joined.rows, experts);

    Attributes meta = scan->meta;
    meta.emplace_back("precision", config.model.precision == Precision::fp64 ? "fp64" : "fp32");
    std::string lines;  // the configuration without the keys that change no number
    for (const auto& [key, value] : settings(config))
        if (!key.starts_with("run.") && key != "model.path" && key != "cases.path") lines += fmt::format("{} = {}\n", key, value);
    meta.emplace_back("config", lines);
    store.write_sweep(units, scan->cases, joined, result_tables(study, config), meta, provenance);
    return study;
}

}  // namespace moesweep
