#include "moesweep/tracing/sweep_view.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "moesweep/base/error.h"
#include "moesweep/tracing/study.h"

namespace moesweep {
namespace {

constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int32_t most_players = 16;  // of 2^16 subsets a case

std::size_t at(std::int32_t index) {
    return static_cast<std::size_t>(index);
}

}  // namespace

bool Routed::has(std::int32_t wanted) const {
    return std::ranges::find(expert, wanted) != expert.end();
}

double Routed::rescue_of(std::int32_t wanted) const {
    const auto found = std::ranges::find(expert, wanted);
    return found == expert.end() ? 0 : rescue[static_cast<std::size_t>(found - expert.begin())];
}

std::optional<float> Routed::patch_norm_of(std::int32_t wanted) const {
    const auto found = std::ranges::find(expert, wanted);
    if (found == expert.end()) return std::nullopt;
    const float norm = patch_norm[static_cast<std::size_t>(found - expert.begin())];
    return std::isnan(norm) ? std::nullopt : std::optional(norm);
}

SweepView::SweepView(std::size_t cases, std::int32_t experts) : experts_(experts), place_(cases), noise_drop_(cases) {}

void SweepView::add(const UnitTables& unit, const std::string& file) {
    const std::string name = file.empty() ? "" : file + ": ";
    check_cases(unit.base.case_index, name + "base");
    check_rows(unit.rows, name);
    check_routing(unit.routing, name);
    for (std::size_t i = 0; i < unit.base.size(); ++i)
        noise_drop_[at(unit.base.case_index[i])] = unit.base.delta_clean[i] - unit.base.delta_noised[i];
    add_routing(unit.routing, name);
    for (std::size_t i = 0; i < unit.rows.size(); ++i) add_row(unit.rows, i);
    add_games(unit.rows, name);
}

void SweepView::add_controls(const RowTable& rows, const std::string& file) {
    const std::string name = file.empty() ? "controls: " : file + ": ";
    check_rows(rows, name);
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (rows.kind[i] == Kind::equal_norm)
            equal_norm_[{rows.layer[i], rows.case_index[i], rows.expert[i]}] = rows.rescue[i];
    add_games(rows, name);
}

void SweepView::check_cases(const std::vector<std::int32_t>& cases, const std::string& table) const {
    for (std::size_t i = 0; i < cases.size(); ++i)
        if (cases[i] < 0 || at(cases[i]) >= place_.size())
            fail(Exit::data, "{}: case: line {} has {}, expected 0 to {}", table, i, cases[i],
                 static_cast<std::int64_t>(place_.size()) - 1);
}

void SweepView::check_rows(const RowTable& rows, const std::string& name) const {
    check_cases(rows.case_index, name + "rows");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.layer[i] < 0)
            fail(Exit::data, "{}rows: layer: line {} has {}, expected one from 0", name, i, rows.layer[i]);
        const bool names_one = rows.kind[i] == Kind::expert || rows.kind[i] == Kind::equal_norm;
        const std::int32_t least = names_one ? 0 : -1;
        if (rows.expert[i] < least || rows.expert[i] >= experts_)
            fail(Exit::data, "{}rows: expert: line {} has {}, expected {} to {}", name, i, rows.expert[i], least,
                 experts_ - 1);
        if (!std::isfinite(rows.rescue[i]))
            fail(Exit::data, "{}rows: rescue: line {} (case {}, layer {}) has {}, expected a finite number", name, i,
                 rows.case_index[i], rows.layer[i], rows.rescue[i]);
    }
}

void SweepView::check_routing(const RoutingTable& routing, const std::string& name) const {
    check_cases(routing.case_index, name + "routing");
    for (std::size_t i = 0; i < routing.size(); ++i)
        if (routing.layer[i] < 0)
            fail(Exit::data, "{}routing: layer: line {} has {}, expected one from 0", name, i, routing.layer[i]);
    for (std::size_t i = 0; i < routing.expert.size(); ++i)
        if (routing.expert[i] < 0 || routing.expert[i] >= experts_)
            fail(Exit::data, "{}routing: expert: line {} has {}, expected 0 to {}", name, i / at(routing.k),
                 routing.expert[i], experts_ - 1);
}

std::int32_t SweepView::place(std::int32_t case_index, std::int32_t layer) const {
    const auto& of_case = place_[at(case_index)];
    return layer < 0 || at(layer) >= of_case.size() ? none : of_case[at(layer)];
}

std::size_t SweepView::make_place(std::int32_t case_index, std::int32_t layer) {
    auto& of_case = place_[at(case_index)];
    if (at(layer) >= of_case.size()) of_case.resize(at(layer) + 1, none);
    if (of_case[at(layer)] == none) {
        of_case[at(layer)] = static_cast<std::int32_t>(is_routed_.size());
        const std::size_t k = at(k_);
        is_routed_.push_back(0);
        expert_.resize(expert_.size() + k, none);
        weight_.resize(weight_.size() + k, 0);
        patch_norm_.resize(patch_norm_.size() + k, std::numeric_limits<float>::quiet_NaN());
        expert_rescue_.resize(expert_rescue_.size() + k, 0);
        rescue_.resize(rescue_.size() + kinds, nan);
    }
    return at(of_case[at(layer)]);
}

void SweepView::add_routing(const RoutingTable& routing, const std::string& name) {
    if (k_ == 0) k_ = routing.k;
    if (routing.size() > 0 && routing.k != k_)
        fail(Exit::data, "{}routing/expert: {} experts a line, the units before it have {}", name, routing.k, k_);
    for (std::size_t i = 0; i < routing.size(); ++i) {
        if (routing.run[i] != RunKind::clean) continue;
        const std::size_t place = make_place(routing.case_index[i], routing.layer[i]);
        is_routed_[place] = 1;
        for (std::size_t slot = 0; slot < at(k_); ++slot) {
            expert_[place * at(k_) + slot] = routing.expert[i * at(k_) + slot];
            weight_[place * at(k_) + slot] = routing.weight[i * at(k_) + slot];
        }
    }
}

void SweepView::add_row(const RowTable& rows, std::size_t line) {
    const std::int32_t layer = rows.layer[line];
    const Kind kind = rows.kind[line];
    if (at(layer) >= kinds_at_.size()) kinds_at_.resize(at(layer) + 1, 0);
    if (kinds_at_[at(layer)] == 0) layers_.insert(std::ranges::lower_bound(layers_, layer), layer);
    kinds_at_[at(layer)] = static_cast<std::uint8_t>(kinds_at_[at(layer)] | 1u << static_cast<int>(kind));

    const std::size_t place = make_place(rows.case_index[line], layer);
    if (static_cast<std::size_t>(kind) < kinds)
        rescue_[place * kinds + static_cast<std::size_t>(kind)] = rows.rescue[line];
    if (kind != Kind::expert || !is_routed_[place]) return;
    const auto slots = std::span(expert_).subspan(place * at(k_), at(k_));
    const auto found = std::ranges::find(slots, rows.expert[line]);
    if (found == slots.end()) return;
    const std::size_t slot = place * at(k_) + static_cast<std::size_t>(found - slots.begin());
    expert_rescue_[slot] = rows.rescue[line];
    patch_norm_[slot] = rows.patch_norm[line];
}

void SweepView::add_games(const RowTable& rows, const std::string& name) {
    const std::int32_t subsets = 1 << std::min(k_, most_players);
    std::map<std::pair<std::int32_t, std::int32_t>, std::vector<double>> values;  // by members; NaN without a row
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.kind[i] != Kind::subset) continue;
        if (rows.members[i] < 1 || rows.members[i] >= subsets)
            fail(Exit::data, "{}rows: members: line {} has {}, expected 1 to {}", name, i, rows.members[i],
                 subsets - 1);
        auto& game = values[{rows.layer[i], rows.case_index[i]}];
        if (game.empty()) {
            game.assign(at(subsets), nan);
            game[0] = 0;
        }
        game[at(rows.members[i])] = rows.rescue[i];
    }
    for (const auto& [where, game] : values) {
        const bool whole = std::ranges::none_of(game, [](double value) { return std::isnan(value); });
        games_[where] = {whole ? shapley_values(game) : std::vector<double>{}, game.back()};
    }
}

bool SweepView::has(Kind kind, std::int32_t layer) const {
    return layer >= 0 && at(layer) < kinds_at_.size() && kinds_at_[at(layer)] >> static_cast<int>(kind) & 1;
}

double SweepView::rescue(std::int32_t case_index, std::int32_t layer, Kind kind) const {
    const std::int32_t where = place(case_index, layer);
    return where == none ? nan : rescue_[at(where) * kinds + static_cast<std::size_t>(kind)];
}

bool SweepView::is_routed(std::int32_t case_index, std::int32_t layer) const {
    const std::int32_t where = place(case_index, layer);
    return where != none && is_routed_[at(where)];
}

Routed SweepView::routed(std::int32_t case_index, std::int32_t layer) const {
    if (!is_routed(case_index, layer))
        fail(Exit::data, "routing: no line for the clean run of case {} at layer {}", case_index, layer);
    const std::size_t k = at(k_), first = at(place(case_index, layer)) * k;
    return {std::span(expert_).subspan(first, k), std::span(weight_).subspan(first, k),
            std::span(expert_rescue_).subspan(first, k), std::span(patch_norm_).subspan(first, k)};
}

std::optional<double> SweepView::equal_norm_rescue(std::int32_t case_index, std::int32_t layer,
                                                   std::int32_t expert) const {
    const auto found = equal_norm_.find({layer, case_index, expert});
    return found == equal_norm_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> SweepView::noise_drop(std::int32_t case_index) const {
    return noise_drop_[at(case_index)];
}

}  // namespace moesweep
