#include <algorithm>

#include "study_input.h"

namespace moesweep {
namespace {

/// The first index with the greatest of the values that count; -1 if none does. NaN never counts.
template <class Counts>
std::int32_t first_best(const std::vector<double>& values, Counts counts) {
    std::int32_t best = -1;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i] == values[i] && counts(i) && (best < 0 || values[i] > values[at(best)])) {
            best = static_cast<std::int32_t>(i);
        }
    }
    return best;
}

std::vector<double> block_rescues(const SweepView& sweep, std::int32_t layer, const CaseList& cases) {
    std::vector<double> values;
    for (auto case_index : cases) {
        const double rescue = sweep.rescue(case_index, layer, Kind::block);
        if (rescue == rescue) values.push_back(rescue);
    }
    return values;
}

}  // namespace

std::int32_t choose_layer(const SweepView& sweep, const CaseList& discovery) {
    std::vector<double> means;
    for (auto layer : sweep.layers()) means.push_back(mean(block_rescues(sweep, layer, discovery)));
    const auto best = first_best(means, [](std::size_t) { return true; });
    return best < 0 ? -1 : sweep.layers()[at(best)];
}

Candidates rank_candidates(const SweepView& sweep, std::int32_t layer, std::int32_t experts, const Halves& halves,
                           std::int64_t recurrence) {
    const bool measured = sweep.has_experts(layer);
    const auto width = at(experts);
    Candidates candidates;
    candidates.discovery_active.assign(width, 0);
    candidates.validation_active.assign(width, 0);
    std::vector<double> sum(width, 0);
    for (auto case_index : halves.discovery) {
        const Routed routed = sweep.routed(case_index, layer);
        for (std::size_t slot = 0; slot < routed.expert.size(); ++slot) {
            ++candidates.discovery_active[at(routed.expert[slot])];
            sum[at(routed.expert[slot])] += routed.rescue[slot];
        }
    }
    for (auto case_index : halves.validation) {
        for (auto expert : sweep.routed(case_index, layer).expert) ++candidates.validation_active[at(expert)];
    }
    const auto n = static_cast<double>(halves.discovery.size());
    for (std::size_t e = 0; e < width; ++e) {
        const auto active = candidates.discovery_active[e];
        candidates.expert.push_back(static_cast<std::int32_t>(e));
        candidates.discovery_rescue.push_back(measured && n > 0 ? sum[e] / n : nan);
        candidates.discovery_rescue_active.push_back(measured && active > 0 ? sum[e] / active : nan);
        candidates.recurrent.push_back(active > 0 && active >= recurrence);
    }
    return candidates;
}

std::int32_t best_recurrent(const Candidates& candidates, const std::vector<double>& means) {
    return first_best(means, [&](std::size_t expert) { return candidates.recurrent[expert] != 0; });
}

std::int32_t choose_expert(const SweepView& sweep, std::int32_t layer, std::int32_t experts, const CaseList& discovery,
                           std::int64_t recurrence) {
    const auto candidates = rank_candidates(sweep, layer, experts, {discovery, {}}, recurrence);
    return best_recurrent(candidates, candidates.discovery_rescue);
}

Selection choose(const SweepView& sweep, std::int32_t experts, const CaseList& discovery, std::int64_t recurrence) {
    const auto layer = choose_layer(sweep, discovery);
    if (layer < 0) return {};
    return {layer, choose_expert(sweep, layer, experts, discovery, recurrence)};
}

Study::Layers score_layers(const StudyInput& in) {
    Study::Layers layers;
    for (auto layer : in.sweep.layers()) {
        if (!in.sweep.has_blocks(layer)) continue;
        layers.layer.push_back(layer);
        layers.discovery.push_back(summarize(block_rescues(in.sweep, layer, in.halves.discovery), in.stats));
        layers.validation.push_back(summarize(block_rescues(in.sweep, layer, in.halves.validation), in.stats));
    }
    return layers;
}

Study::Heatmap map_experts(const StudyInput& in) {
    const CaseList cases = in.halves.both();
    const auto width = at(in.experts);
    Study::Heatmap map;
    map.experts = in.experts;
    for (auto layer : in.sweep.layers()) {
        std::vector<double> sum(width, 0);
        std::vector<std::int32_t> active(width, 0);
        for (auto case_index : cases) {
            const Routed routed = in.sweep.routed(case_index, layer);
            for (std::size_t slot = 0; slot < routed.expert.size(); ++slot) {
                ++active[at(routed.expert[slot])];
                sum[at(routed.expert[slot])] += routed.rescue[slot];
            }
        }
        const bool measured = !cases.empty() && in.sweep.has_experts(layer);
        for (double& value : sum) value = measured ? value / static_cast<double>(cases.size()) : nan;
        map.layer.push_back(layer);
        map.mean_rescue.insert(map.mean_rescue.end(), sum.begin(), sum.end());
        map.active.insert(map.active.end(), active.begin(), active.end());
    }
    return map;
}

}  // namespace moesweep
