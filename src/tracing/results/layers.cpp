#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "results.h"

namespace moesweep {

ResultTable layers_table(const StudyInput&, const Study& study) {
    const auto& layers = study.layers;
    ResultTable table{"layers", "Block rescue of every layer on each half (eq. 4)", {}, {}};
    table.columns.push_back({"layer", "", "decoder layer, from 0", layers.layer});
    add_summaries(table, "discovery", layers.discovery);
    add_summaries(table, "validation", layers.validation);
    return table;
}

ResultTable layer_gap_table(const StudyInput&, const Study& study) {
    ResultTable table{
        "layer_gap", "How far the best layer stands above the next: mean block rescue over validation", {}, {}};
    const auto& layers = study.layers;
    const auto mean_of = [&](std::size_t line) { return layers.validation[line].mean; };
    std::vector<std::size_t> order;
    for (std::size_t line = 0; line < layers.layer.size(); ++line) {
        if (layers.validation[line].n > 0) order.push_back(line);
    }
    std::ranges::stable_sort(order, std::greater<>{}, mean_of);  // ties: the lower layer first

    std::vector<std::int32_t> top_layer, next_layer;
    std::vector<double> top, next, gap;
    if (order.size() < 2) {
        add_note(table, fmt::format("{} layers have block rows of validation cases: there are no two to compare.",
                                    order.size()));
    } else {
        top_layer = {layers.layer[order[0]]};
        next_layer = {layers.layer[order[1]]};
        top = {mean_of(order[0])};
        next = {mean_of(order[1])};
        gap = {top[0] - next[0]};
    }
    table.columns = {{"top_layer", "", "layer with the highest mean", std::move(top_layer)},
                     {"top", "logit", "its mean block rescue", std::move(top)},
                     {"next_layer", "", "layer with the next mean", std::move(next_layer)},
                     {"next", "logit", "its mean block rescue", std::move(next)},
                     {"gap", "logit", "top - next", std::move(gap)}};
    return table;
}

}  // namespace moesweep
