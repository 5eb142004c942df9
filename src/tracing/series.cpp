#include "moesweep/tracing/series.h"

namespace moesweep {
namespace {

UnitSet unit_set(std::string title, const Store& store, std::size_t members, std::int64_t unit) {
    return {std::move(title), store, (static_cast<std::int64_t>(members) + unit - 1) / unit};
}

/// The members of a unit: indices into series.members.
struct Range {
    std::size_t begin, end;
};
Range members_of(const Series& series, std::int64_t number, std::int64_t unit) {
    const auto size = static_cast<std::size_t>(unit), begin = static_cast<std::size_t>(number) * size;
    return {begin, std::min(begin + size, series.members.size())};
}

std::vector<PassCase> pass_cases(const TracingConfig& config, const ModelInputs& model, const std::vector<Case>& cases,
                                 const Series& series, const std::vector<std::int64_t>& units) {
    std::vector<PassCase> all;
    for (const auto unit : units) {
        const auto [begin, end] = members_of(series, unit, config.run.unit);
        for (std::size_t i = begin; i < end; ++i) {
            const std::int32_t index = series.members[i];
            const Case& item = cases[static_cast<std::size_t>(index)];
            all.push_back(make_pass_case(config.noise, model, item, index, series.noise));
            if (!series.pairs.empty()) all.back().pair = series.pairs[i];
        }
    }
    return all;
}

}  // namespace

Series main_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases) {
    const auto members = swept_cases(cases);
    return {unit_set("units", store, members.size(), config.run.unit),
            members,
            {config.noise.scale, 0},
            config.store.vectors};
}

std::vector<Series> condition_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases) {
    std::vector<Noise> conditions;
    for (std::int32_t draw = 1; draw < config.noise.draws; ++draw) conditions.push_back({config.noise.scale, draw});
    for (const double scale : config.noise.scales.values())
        if (scale != config.noise.scale) conditions.push_back({scale, 0});

    const auto members = cases_with(cases, &Case::split);
    std::vector<Series> all;
    for (const auto& noise : conditions) {
        const Store own = store.series(fmt::format("noise-{}-draw-{}", noise.scale, noise.draw));
        const std::string title = fmt::format("noise {} draw {}: units", noise.scale, noise.draw);
        all.push_back({unit_set(title, own, members.size(), config.run.unit), members, noise});
    }
    return all;
}

std::optional<Series> control_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases,
                                     Selection selection) {
    const bool pairs = config.controls.equal_norm && selection.expert >= 0;
    const bool subsets = config.sweep.subsets_at_selected();
    if (selection.layer < 0 || (!pairs && !subsets)) return std::nullopt;
    const std::string name =
        fmt::format("controls-L{:02}{}{}", selection.layer, pairs ? fmt::format("E{:03}", selection.expert) : "",
                    subsets ? "-subsets" : "");
    const auto members = cases_with(cases, &Case::split);
    return Series{unit_set("controls: units", store.series(name), members.size(), config.run.unit),
                  members,
                  {config.noise.scale, 0}};
}

std::vector<std::optional<Pair>> matched_pairs(const std::vector<std::int32_t>& members, const SweepView& sweep,
                                               Selection selection) {
    std::vector<std::optional<Pair>> pairs(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (!sweep.is_routed(members[i], selection.layer)) continue;
        const Routed routed = sweep.routed(members[i], selection.layer);
        if (const auto control = gate_matched_control(routed.expert, routed.weight, selection.expert))
            pairs[i] = {selection.expert, *control};
    }
    return pairs;
}

std::vector<SitePlan> sweep_sites(const TracingConfig& config, const ModelConfig& model) {
    std::vector<SitePlan> sites(static_cast<std::size_t>(model.num_hidden_layers));
    const auto& sweep = config.sweep;
    for (const int layer : sweep.layers.of_model(model.num_hidden_layers, "sweep.layers"))
        sites[static_cast<std::size_t>(layer)] = {sweep.blocks, sweep.experts, sweep.coalition_clean,
                                                  sweep.coalition_union};
    if (sweep.subsets && sweep.subset_layers)
        for (const int layer : sweep.subset_layers->of_model(model.num_hidden_layers, "sweep.subset_layers"))
            sites[static_cast<std::size_t>(layer)].subsets = true;
    for (std::size_t layer = 0; layer < sites.size(); ++layer)
        if (!model.is_moe[layer]) sites[layer] = {};
    return sites;
}

std::vector<SitePlan> control_sites(const TracingConfig& config, const ModelConfig& model, Selection selection) {
    std::vector<SitePlan> sites(static_cast<std::size_t>(model.num_hidden_layers));
    SitePlan& site = sites[static_cast<std::size_t>(selection.layer)];
    site.equal_norm = config.controls.equal_norm && selection.expert >= 0;
    site.subsets = config.sweep.subsets_at_selected();
    return sites;
}

bool compute_series(const TracingConfig& config, Job& job, const std::vector<Case>& cases, const Series& series,
                    const std::vector<SitePlan>& sites) {
    return compute_units(job, series.units, [&](const Assignment& assignment) -> Commit {
        PassPlan plan{sites, series.vectors};
        plan.micro_batches = job.layout.micro_batches(assignment.most_units * config.run.unit);
        plan.control = assignment.control;
        const auto members = pass_cases(config, job.model, cases, series, assignment.units);
        auto result = run_pass({*job.model.weights, *job.layers, *job.group}, members, plan, &job.traffic);
        if (!result) return {};
        return [&config, &series, units = assignment.units, pass = std::move(result->tables)] {
            for (const auto unit : units) {
                const auto [begin, end] = members_of(series, unit, config.run.unit);
                series.units.store.write_unit(unit,
                                              part_of(pass, {series.members[begin], series.members[end - 1] + 1}));
            }
        };
    });
}

}  // namespace moesweep
