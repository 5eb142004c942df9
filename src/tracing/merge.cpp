#include "moesweep/tracing/merge.h"

#include <algorithm>

#include "case_columns.h"
#include "moesweep/base/version.h"
#include "moesweep/store/merged_file.h"
#include "moesweep/text/bos.h"

namespace moesweep {
namespace {

void expect_complete(const UnitSet& units) {
    if (const auto missing = units.store.missing_units(units.count); !missing.empty())
        fail(Exit::data, "{}: missing, run trace again", units.store.unit_path(missing[0]).string());
}

/// Calls use(unit, its file) for all units of a series, without their vectors.
template <class Use>
void for_each_unit(const UnitSet& units, Use&& use) {
    expect_complete(units);
    std::int64_t number = 0;
    units.store.for_each_unit<UnitTables>(units.count, Columns::of_own_groups, [&](const UnitTables& unit) {
        use(unit, units.store.unit_path(number++).string());
    });
}

SweepView read_view(const Series& series, std::size_t cases, std::int32_t experts) {
    SweepView view(cases, experts);
    for_each_unit(series.units, [&](const UnitTables& unit, const std::string& file) { view.add(unit, file); });
    return view;
}

}  // namespace

Attributes describe(const TracingConfig& config, const Job& job) {
    const ModelConfig& m = job.model.config;
    Attributes meta = {{"version", version}, {"model_type", m.model_type}};
    for (const auto& [key, value] : {std::pair{"num_hidden_layers", m.num_hidden_layers},
                                     {"hidden_size", m.hidden_size},
                                     {"num_attention_heads", m.heads.num_attention_heads},
                                     {"num_key_value_heads", m.heads.num_key_value_heads},
                                     {"num_experts", m.router.num_experts},
                                     {"num_experts_per_tok", m.router.num_experts_per_tok},
                                     {"moe_intermediate_size", m.expert.intermediate_size},
                                     {"vocab_size", m.vocab_size}})
        meta.emplace_back(key, std::to_string(value));
    const auto bos = bos_token(job.model.tokenizer, config.model.bos);
    meta.emplace_back("bos", bos ? std::to_string(*bos) : "none");
    meta.emplace_back("sigma", fmt::format("{}", config.noise.scale * job.model.embedding_std));
    meta.emplace_back("weights_sha256", job.weights_sha256);
    meta.emplace_back("tokenizer_sha256", job.tokenizer_sha256);
    meta.emplace_back("facts_sha256", job.file_sha256);
    return meta;
}

StudyData read_sweep(const TracingConfig& config, const Store& store, const Scan& scan) {
    const std::int32_t experts = scan.experts();
    const Series series = main_series(config, store, scan.cases);
    return {scan.cases, experts, read_view(series, scan.cases.size(), experts), {}};
}

Study merge_run(const TracingConfig& config, const Store& store, const Attributes& provenance) {
    const auto scan = read_scan(store, config);
    if (!scan) fail(Exit::data, "{}: the scan is not finished, run trace again", store.folder().string());
    const auto cases = static_cast<std::int64_t>(scan->cases.size());
    const std::vector<Series> conditions = condition_series(config, store, scan->cases);

    StudyData data = read_sweep(config, store, *scan);
    for (const Series& series : conditions)
        data.conditions.push_back(
            {series.noise.scale, series.noise.draw, read_view(series, scan->cases.size(), data.experts)});
    auto controls = control_series(config, store, scan->cases, select_expert(config, data));
    if (controls && !controls->units.complete()) controls.reset();
    if (controls)
        for_each_unit(controls->units, [&](const UnitTables& unit, const std::string& file) {
            data.sweep.add_controls(unit.rows, file);
        });
    const StudyResults results = run_study(config, data);

    const auto below = [](const std::string& group) {
        return [group](const std::string& table) { return group + table; };
    };
    const auto rows_alone = [](const std::string& table) { return table == "rows" ? "controls" : ""; };
    Attributes meta = scan->meta;
    meta.emplace_back("precision", value_of(settings(config), "model.precision"));
    meta.emplace_back("config", number_changing_ini(settings(config), {"model.path", "model.weights", "cases.path"}));
    const CaseColumns case_columns = to_columns(scan->cases);
    MergedFile file;
    file.group("meta", meta);
    file.table("cases", case_columns);
    const Series main = main_series(config, store, scan->cases);
    file.units<UnitTables>(main.units.store, main.units.count, cases, below(""));
    file.units<UnitTables>(controls ? controls->units.store : store, controls ? controls->units.count : 0, cases,
                           rows_alone);
    file.group("conditions");
    for (std::size_t n = 0; n < conditions.size(); ++n) {
        const auto& [units, members, noise, vectors, pairs] = conditions[n];
        const std::string group = fmt::format("conditions/{:02}", n);
        file.group(group, {{"scale", noise.scale}, {"draw", std::int64_t{noise.draw}}});
        file.units<UnitTables>(units.store, units.count, cases, below(group + "/"));
    }
    file.group("results");
    for (const ResultTable& table : results.tables) file.result(table);
    file.group("provenance", provenance);
    file.write(store.folder() / "sweep.h5");
    return results.study;
}

}  // namespace moesweep
