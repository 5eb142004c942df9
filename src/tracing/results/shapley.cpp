#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "results.h"

namespace moesweep {
namespace {

/// What the cases of one layer came to.
struct LayerShares {
    std::map<std::int32_t, std::vector<double>> values;  ///< by expert, a case each
    double coalition = 0;                                ///< sum of the full coalitions' rescues

    void add(const Routed& routed, const Game& game) {
        for (std::size_t i = 0; i < game.shares.size(); ++i) values[routed.expert[i]].push_back(game.shares[i]);
        coalition += game.total;
    }
};

/// The table's lines.
struct Line {
    std::int32_t layer, expert;
    Summary summary;
    double share;
};

std::vector<Line> lines_of(const StudyInput& in, std::int32_t layer, const LayerShares& shares) {
    std::vector<Line> lines;
    for (const auto& [expert, values] : shares.values) {
        double sum = 0;
        for (double value : values) sum += value;
        lines.push_back(
            {layer, expert, summarize(values, in.stats), shares.coalition != 0 ? sum / shares.coalition : nan});
    }
    std::ranges::stable_sort(lines, std::greater<>{}, [](const Line& line) { return line.summary.mean; });
    return lines;
}

template <class Get>
auto column(const std::vector<Line>& lines, Get get) {
    std::vector<std::decay_t<decltype(get(lines[0]))>> values;
    for (const auto& line : lines) values.push_back(get(line));
    return values;
}

}  // namespace

std::vector<double> shapley_values(std::span<const double> values) {
    const auto players = static_cast<std::size_t>(std::countr_zero(values.size()));
    std::vector<double> weight;  // by |S|: 1 / (k C(k-1, |S|)), each from the one before
    for (std::size_t size = 0; size < players; ++size) {
        weight.push_back(size == 0 ? 1.0 / static_cast<double>(players)
                                   : weight.back() * static_cast<double>(size) / static_cast<double>(players - size));
    }
    std::vector<double> shares(players, 0);
    for (std::size_t player = 0; player < players; ++player) {
        const std::size_t bit = std::size_t{1} << player;
        for (std::size_t set = 0; set < values.size(); ++set) {
            if (!(set & bit)) shares[player] += weight[std::popcount(set)] * (values[set | bit] - values[set]);
        }
    }
    return shares;
}

ResultTable shapley_table(const StudyInput& in, const Study&) {
    ResultTable table{"shapley",
                      "Exact Shapley values of the experts that the clean run routes to, from the rescues of all their "
                      "coalitions (the empty one's is 0); all cases of the study with these rows",
                      {},
                      {}};
    std::map<std::int32_t, LayerShares> layers;
    double largest_residual = 0;
    std::size_t games = 0, incomplete = 0;
    for (const auto& [place, game] : in.sweep.games()) {
        const auto [layer, case_index] = place;
        if (in.case_at(case_index).split == Split::none) continue;
        ++games;
        if (game.shares.empty()) {
            ++incomplete;
            continue;
        }
        layers[layer].add(in.sweep.routed(case_index, layer), game);
        double sum = 0;
        for (double share : game.shares) sum += share;
        largest_residual = std::max(largest_residual, std::abs(sum - game.total));
    }
    std::vector<Line> lines;
    for (const auto& [layer, shares] : layers)
        std::ranges::move(lines_of(in, layer, shares), std::back_inserter(lines));

    if (games == 0) {
        add_note(table, in.config.sweep.subsets ? "There are no rows of subsets."
                                                : "No subsets were asked for (sweep.subsets = none).");
    }
    if (incomplete > 0) {
        add_note(table, fmt::format("{} of {} pairs of case and layer lack rows of some subsets and are left out.",
                                    incomplete, games));
    }
    if (!lines.empty()) table.attributes.emplace_back("largest_residual", fmt::format("{}", largest_residual));
    table.columns = {
        {"layer", "", "decoder layer, from 0", column(lines, [](const Line& line) { return line.layer; })},
        {"expert", "", "expert index, from 0", column(lines, [](const Line& line) { return line.expert; })},
        {"n", "", "cases whose clean run routes to the expert",
         column(lines, [](const Line& line) { return line.summary.n; })},
        {"mean", "logit", "mean Shapley value over these cases",
         column(lines, [](const Line& line) { return line.summary.mean; })},
        {"ci_low", "logit", "95% percentile bootstrap interval over cases, lower end",
         column(lines, [](const Line& line) { return line.summary.ci.low; })},
        {"ci_high", "logit", "95% percentile bootstrap interval over cases, upper end",
         column(lines, [](const Line& line) { return line.summary.ci.high; })},
        {"share", "", "of the full coalition's rescue over the layer's cases; NaN where that is 0",
         column(lines, [](const Line& line) { return line.share; })}};
    return table;
}

}  // namespace moesweep
