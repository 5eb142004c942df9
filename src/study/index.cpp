#include "index.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "moesweep/error.h"

namespace moesweep {
namespace {

auto row_key(const RowTable& rows, std::int32_t line) {
    const auto i = static_cast<std::size_t>(line);
    return std::tuple(rows.case_index[i], rows.layer[i], rows.kind[i], rows.expert[i]);
}

auto routing_key(const RoutingTable& routing, std::int32_t line) {
    const auto i = static_cast<std::size_t>(line);
    return std::tuple(routing.case_index[i], routing.layer[i]);
}

/// Sorts lines by key; a merged run's tables come sorted, which is only checked.
template <class Key>
void sort_lines(std::vector<std::int32_t>& lines, Key key) {
    if (!std::ranges::is_sorted(lines, {}, key)) std::ranges::sort(lines, {}, key);
}

}  // namespace

RowIndex::RowIndex(const RowTable& rows) : rows_(rows), order_(rows.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    sort_lines(order_, [&](std::int32_t line) { return row_key(rows, line); });
}

const double* RowIndex::find(std::int32_t case_index, std::int32_t layer, Kind kind, std::int32_t expert) const {
    const std::tuple wanted(case_index, layer, kind, expert);
    const auto key = [&](std::int32_t line) { return row_key(rows_, line); };
    const auto found = std::ranges::lower_bound(order_, wanted, {}, key);
    return found != order_.end() && key(*found) == wanted ? &rows_.rescue[static_cast<std::size_t>(*found)] : nullptr;
}

CleanRouting::CleanRouting(const RoutingTable& routing) : routing_(routing) {
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (routing.run[i] == RunKind::clean) order_.push_back(static_cast<std::int32_t>(i));
    }
    sort_lines(order_, [&](std::int32_t line) { return routing_key(routing, line); });
}

std::vector<std::int32_t> CleanRouting::experts(std::int32_t case_index, std::int32_t layer) const {
    const std::tuple wanted(case_index, layer);
    const auto key = [&](std::int32_t line) { return routing_key(routing_, line); };
    const auto found = std::ranges::lower_bound(order_, wanted, {}, key);
    if (found == order_.end() || key(*found) != wanted) {
        fail(Exit::data, "routing: no line for the clean run of case {} at layer {}", case_index, layer);
    }
    const auto first = routing_.expert.begin() + std::ptrdiff_t{*found} * routing_.k;
    std::vector<std::int32_t> experts(first, first + routing_.k);
    std::ranges::sort(experts);
    return experts;
}

}  // namespace moesweep
