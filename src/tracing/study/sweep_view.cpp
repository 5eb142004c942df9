#include "sweep_view.h"

#include <algorithm>
#include <limits>

#include "moesweep/base/error.h"

namespace moesweep {

bool Routed::has(std::int32_t wanted) const {
    return std::ranges::find(expert, wanted) != expert.end();
}

double Routed::rescue_of(std::int32_t wanted) const {
    const auto found = std::ranges::find(expert, wanted);
    return found == expert.end() ? 0 : rescue[static_cast<std::size_t>(found - expert.begin())];
}

SweepView::SweepView(const RoutingTable& routing, const RowTable& rows, std::size_t cases)
    : routing_(routing), layers_(rows.layer), case_line_(cases, none) {
    std::ranges::sort(layers_);
    layers_.erase(std::ranges::unique(layers_).begin(), layers_.end());
    const auto number = [&](std::int32_t case_index) {
        auto& line = case_line_[static_cast<std::size_t>(case_index)];
        if (line == none) line = static_cast<std::ptrdiff_t>(swept_++);
    };
    std::ranges::for_each(routing.case_index, number);
    std::ranges::for_each(rows.case_index, number);

    const std::size_t places = layers_.size() * swept_;
    routing_line_.assign(places, none);
    expert_rescue_.assign(places * static_cast<std::size_t>(routing.k), 0);
    rescue_.assign(places * kinds, std::numeric_limits<double>::quiet_NaN());
    add_routing();
    add_rows(rows);
}

std::ptrdiff_t SweepView::layer_line(std::int32_t layer) const {
    const auto found = std::ranges::lower_bound(layers_, layer);
    return found != layers_.end() && *found == layer ? found - layers_.begin() : none;
}

std::ptrdiff_t SweepView::place(std::int32_t case_index, std::int32_t layer) const {
    const auto line = layer_line(layer), swept_case = case_line_[static_cast<std::size_t>(case_index)];
    return line == none || swept_case == none ? none : line * static_cast<std::ptrdiff_t>(swept_) + swept_case;
}

bool SweepView::has(const std::vector<char>& flags, std::int32_t layer) const {
    const auto line = layer_line(layer);
    return line != none && flags[static_cast<std::size_t>(line)];
}

void SweepView::add_routing() {
    for (std::size_t i = 0; i < routing_.size(); ++i) {
        if (routing_.run[i] != RunKind::clean) continue;
        const auto at = place(routing_.case_index[i], routing_.layer[i]);
        if (at != none) routing_line_[static_cast<std::size_t>(at)] = static_cast<std::ptrdiff_t>(i);
    }
}

void SweepView::add_rows(const RowTable& rows) {
    blocks_at_.assign(layers_.size(), 0);
    experts_at_.assign(layers_.size(), 0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto at = static_cast<std::size_t>(place(rows.case_index[i], rows.layer[i]));
        const std::size_t layer = at / swept_;
        const Kind kind = rows.kind[i];
        blocks_at_[layer] |= kind == Kind::block;
        experts_at_[layer] |= kind == Kind::expert;
        if (static_cast<std::size_t>(kind) < kinds)
            rescue_[at * kinds + static_cast<std::size_t>(kind)] = rows.rescue[i];
        if (kind != Kind::expert || routing_line_[at] == none) continue;
        const Routed line = routed(rows.case_index[i], rows.layer[i]);
        const auto slot = std::ranges::find(line.expert, rows.expert[i]) - line.expert.begin();
        if (slot < routing_.k)
            expert_rescue_[at * line.expert.size() + static_cast<std::size_t>(slot)] = rows.rescue[i];
    }
}

double SweepView::rescue(std::int32_t case_index, std::int32_t layer, Kind kind) const {
    const auto at = place(case_index, layer);
    if (at == none) return std::numeric_limits<double>::quiet_NaN();
    return rescue_[static_cast<std::size_t>(at) * kinds + static_cast<std::size_t>(kind)];
}

Routed SweepView::routed(std::int32_t case_index, std::int32_t layer) const {
    const auto at = place(case_index, layer);
    if (at == none || routing_line_[static_cast<std::size_t>(at)] == none) {
        fail(Exit::data, "routing: no line for the clean run of case {} at layer {}", case_index, layer);
    }
    const auto k = static_cast<std::size_t>(routing_.k);
    const std::size_t first = static_cast<std::size_t>(routing_line_[static_cast<std::size_t>(at)]) * k;
    return {std::span(routing_.expert).subspan(first, k), std::span(routing_.weight).subspan(first, k),
            std::span(expert_rescue_).subspan(static_cast<std::size_t>(at) * k, k)};
}

}  // namespace moesweep
