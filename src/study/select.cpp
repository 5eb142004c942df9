#include <algorithm>
#include <map>
#include <set>

#include "run.h"

namespace moesweep {
namespace {

/// The first index with the greatest of the values that count; -1 if none does.
template <class Counts>
std::int32_t first_best(const std::vector<double>& values, Counts counts) {
    std::int32_t best = -1;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (counts(i) && (best < 0 || values[i] > values[at(best)])) best = static_cast<std::int32_t>(i);
    }
    return best;
}

}  // namespace

Study::Layers score_layers(const Run& run) {
    std::set<std::int32_t> with_blocks;
    for (std::size_t i = 0; i < run.rows.size(); ++i) {
        if (run.rows.kind[i] == Kind::block) with_blocks.insert(run.rows.layer[i]);
    }
    Study::Layers layers;
    for (auto layer : with_blocks) {
        layers.layer.push_back(layer);
        layers.discovery.push_back(summarize(run.rescues(run.discovery, layer, Kind::block), run.stats));
        layers.validation.push_back(summarize(run.rescues(run.validation, layer, Kind::block), run.stats));
    }
    return layers;
}

Study::Heatmap map_experts(const Run& run) {
    Study::Heatmap map;
    map.experts = run.experts;
    std::map<std::int32_t, std::size_t> line_of;  // layer -> line
    for (auto layer : run.rows.layer) line_of.try_emplace(layer, 0);
    for (auto& [layer, line] : line_of) {
        line = map.layer.size();
        map.layer.push_back(layer);
    }
    const auto width = at(run.experts);
    map.mean_rescue.resize(map.layer.size() * width);
    map.active.assign(map.layer.size() * width, 0);
    const auto n = static_cast<double>(run.discovery.size() + run.validation.size());
    for (std::size_t line = 0; line < map.layer.size(); ++line) {
        const bool measured = n > 0 && run.has_expert_rows(map.layer[line]);
        std::fill_n(map.mean_rescue.begin() + static_cast<std::ptrdiff_t>(line * width), width, measured ? 0 : nan);
    }
    for (std::size_t i = 0; i < run.rows.size(); ++i) {
        if (run.rows.kind[i] != Kind::expert || !run.rows.clean_active[i] || !run.in_study(run.rows.case_index[i]))
            continue;
        map.mean_rescue[line_of[run.rows.layer[i]] * width + at(run.rows.expert[i])] += run.rows.rescue[i];
    }
    for (double& mean_rescue : map.mean_rescue) mean_rescue /= n;
    for (std::size_t i = 0; i < run.routing.size(); ++i) {
        const auto found = line_of.find(run.routing.layer[i]);
        if (run.routing.run[i] != RunKind::clean || found == line_of.end()) continue;
        if (!run.in_study(run.routing.case_index[i])) continue;
        for (std::int32_t slot = 0; slot < run.routing.k; ++slot) {
            ++map.active[found->second * width + at(run.routing.expert[i * at(run.routing.k) + at(slot)])];
        }
    }
    return map;
}

std::int32_t select_layer(const Study::Layers& layers) {
    std::vector<double> means;
    for (const auto& summary : layers.discovery) means.push_back(summary.mean);
    const auto best = first_best(means, [&](std::size_t i) { return layers.discovery[i].n > 0; });
    return best < 0 ? -1 : layers.layer[at(best)];
}

Study::Candidates rank_candidates(const Run& run, std::int32_t layer) {
    const bool measured = run.has_expert_rows(layer);
    const auto width = at(run.experts);
    Study::Candidates candidates;
    candidates.expert.resize(width);
    for (std::size_t e = 0; e < width; ++e) candidates.expert[e] = static_cast<std::int32_t>(e);
    candidates.discovery_active.assign(width, 0);
    candidates.validation_active.assign(width, 0);
    std::vector<double> sum(width, 0);
    for (auto case_index : run.discovery) {
        for (auto expert : run.clean_routing.experts(case_index, layer)) {
            ++candidates.discovery_active[at(expert)];
            sum[at(expert)] += run.expert_rescue(case_index, layer, expert);
        }
    }
    for (auto case_index : run.validation) {
        for (auto expert : run.clean_routing.experts(case_index, layer)) ++candidates.validation_active[at(expert)];
    }
    for (std::size_t e = 0; e < width; ++e) {
        const auto active = candidates.discovery_active[e];
        candidates.discovery_rescue.push_back(measured ? sum[e] / static_cast<double>(run.discovery.size()) : nan);
        candidates.discovery_rescue_active.push_back(measured && active > 0 ? sum[e] / active : nan);
        candidates.recurrent.push_back(active > 0 && active >= run.config.select.recurrence);
    }
    return candidates;
}

std::int32_t select_expert(const Study::Candidates& candidates, const std::vector<double>& means) {
    return first_best(means, [&](std::size_t expert) { return candidates.recurrent[expert] != 0; });
}

}  // namespace moesweep
