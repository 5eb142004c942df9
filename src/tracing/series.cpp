#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

bool subsets_at_selected(const Config& config) {
    return config.sweep.subsets && config.sweep.subset_layers == "selected";
}

/// The selected expert and its gate-matched control in each case (eq. 8), by the clean routing at the selected layer.
std::vector<std::optional<std::array<std::int32_t, 2>>> matched_pairs(const std::vector<std::int32_t>& members,
                                                                      const RoutingTable& routing,
                                                                      const Selection& selection) {
    std::vector<std::optional<std::array<std::int32_t, 2>>> pairs(members.size());
    std::size_t line = 0;
    const auto k = static_cast<std::size_t>(routing.k);
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto is_clean_line = [&] {
            return routing.case_index[line] == members[i] && routing.layer[line] == selection.layer &&
                   routing.run[line] == RunKind::clean;
        };
        while (line < routing.size() && routing.case_index[line] <= members[i] && !is_clean_line()) ++line;
        if (line == routing.size() || !is_clean_line()) continue;
        const auto control = gate_matched_control(std::span(routing.expert).subspan(line * k, k),
                                                  std::span(routing.weight).subspan(line * k, k), selection.expert);
        if (control) pairs[i] = {selection.expert, *control};
    }
    return pairs;
}

}  // namespace

std::int64_t Series::units(const Config& config) const {
    return (static_cast<std::int64_t>(members.size()) + config.run.unit - 1) / config.run.unit;
}

bool Series::complete(const Config& config) const {
    for (std::int64_t unit = 0; unit < units(config); ++unit)
        if (!store.has_unit(unit)) return false;
    return true;
}

Series main_series(const Config& config, const Store& store, const std::vector<Case>& cases) {
    return {"units", store, swept_cases(config, cases), {config.noise.scale, 0}, config.store.vectors};
}

std::vector<Series> condition_series(const Config& config, const Store& store, const std::vector<Case>& cases) {
    std::vector<Noise> conditions;
    for (std::int32_t draw = 1; draw < config.noise.draws; ++draw) conditions.push_back({config.noise.scale, draw});
    for (const double scale : parse_numbers(config.noise.scales))
        if (scale != config.noise.scale) conditions.push_back({scale, 0});

    std::vector<Series> all;
    for (const auto& noise : conditions) {
        const std::string name = fmt::format("noise-{}-draw-{}", noise.scale, noise.draw);
        all.push_back({fmt::format("noise {} draw {}: units", noise.scale, noise.draw), store.series(name),
                       study_cases(config, cases), noise});
    }
    return all;
}

std::optional<Series> control_series(const Config& config, const Store& store, const RunTables& run,
                                     const Selection& selection) {
    const bool pairs = config.controls.equal_norm && selection.expert >= 0, subsets = subsets_at_selected(config);
    if (selection.layer < 0 || (!pairs && !subsets)) return std::nullopt;
    const std::string name =
        fmt::format("controls-L{:02}{}{}", selection.layer, pairs ? fmt::format("E{:03}", selection.expert) : "",
                    subsets ? "-subsets" : "");
    Series series{"controls: units", store.series(name), study_cases(config, run.cases), {config.noise.scale, 0}};
    if (pairs) series.pairs = matched_pairs(series.members, run.sweep.routing, selection);
    return series;
}

std::vector<SitePlan> sweep_sites(const Config& config, const ModelConfig& model) {
    const auto layers = static_cast<int>(model.num_hidden_layers);
    std::vector<SitePlan> sites(static_cast<std::size_t>(layers));
    const auto& sweep = config.sweep;
    for (const int layer : parse_layers(sweep.layers, layers))
        sites[static_cast<std::size_t>(layer)] = {sweep.blocks, sweep.experts, sweep.coalition_clean,
                                                  sweep.coalition_union};
    if (sweep.subsets && !subsets_at_selected(config))
        for (const int layer : parse_layers(sweep.subset_layers, layers))
            sites[static_cast<std::size_t>(layer)].subsets = true;
    for (std::size_t layer = 0; layer < sites.size(); ++layer)
        if (!model.is_moe[layer]) sites[layer] = {};
    return sites;
}

std::vector<SitePlan> control_sites(const Config& config, const ModelConfig& model, const Selection& selection) {
    std::vector<SitePlan> sites(static_cast<std::size_t>(model.num_hidden_layers));
    SitePlan& site = sites[static_cast<std::size_t>(selection.layer)];
    site.equal_norm = config.controls.equal_norm && selection.expert >= 0;
    site.subsets = subsets_at_selected(config);
    return sites;
}

}  // namespace moesweep
