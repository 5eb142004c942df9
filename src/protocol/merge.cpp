#include "moesweep/protocol.h"

namespace moesweep {
namespace {

/// The configuration as INI without where things lie and how the work was divided, which change no number.
std::string number_changing_ini(const Config& config) {
    std::string ini, open_section;
    for (const auto& [key, value] : settings(config)) {
        const std::string section = key.substr(0, key.find('.'));
        if (section == "run" || key == "model.path" || key == "cases.path") continue;
        if (section != open_section) ini += fmt::format("[{}]\n", section);
        open_section = section;
        ini += fmt::format("{} = {}\n", key.substr(section.size() + 1), value);
    }
    return ini;
}

}  // namespace

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
    meta.emplace_back("config", number_changing_ini(config));
    store.write_sweep(units, scan->cases, joined, result_tables(study, config), meta, provenance);
    return study;
}

}  // namespace moesweep
