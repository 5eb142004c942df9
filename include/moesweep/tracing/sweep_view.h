// One sweep laid out for questions: for each (case, layer) what the clean run routes to and what each patch put back.
// Units are added one at a time and need not stay: a (case, layer) takes some 30 bytes an expert that it is routed to,
// whatever the number of its rows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "moesweep/tracing/tables.h"

namespace moesweep {

/// The experts that the clean run routes to at one (case, layer), in the order of /routing (by descending weight).
struct Routed {
    std::span<const std::int32_t> expert;
    std::span<const float> weight;
    std::span<const double> rescue;     ///< 0 where the expert has no row
    std::span<const float> patch_norm;  ///< NaN where the expert has no row

    bool has(std::int32_t wanted) const;
    double rescue_of(std::int32_t wanted) const;                    ///< 0 where `wanted` is not among them
    std::optional<float> patch_norm_of(std::int32_t wanted) const;  ///< none where it has no row
};

/// The game that the clean top-k of a (case, layer) play: every subset of them is worth its rescue.
struct Game {
    std::vector<double> shares;  ///< exact Shapley values, in the order of Routed; none where a subset has no row
    double total = 0;            ///< rescue of all of them together
};

class SweepView {
  public:
    /// `cases`: lines of /cases; `experts`: E.
    SweepView(std::size_t cases, std::int32_t experts);

    /// All lines of a unit. `file` opens messages. Error(data) names the table, column and line of an index out of
    /// range or a rescue that is not finite.
    void add(const UnitTables& unit, const std::string& file = "");
    /// Rows of the second pass over the same cases. Errors as above.
    void add_controls(const RowTable& rows, const std::string& file = "");

    std::int32_t k() const { return k_; }                                ///< experts of a token; 0 without a unit
    const std::vector<std::int32_t>& layers() const { return layers_; }  ///< that have rows, ascending
    bool has_blocks(std::int32_t layer) const { return has(Kind::block, layer); }
    bool has_experts(std::int32_t layer) const { return has(Kind::expert, layer); }

    /// Rescue of a block or coalition row; NaN where there is no such row.
    double rescue(std::int32_t case_index, std::int32_t layer, Kind kind) const;

    /// Whether /routing has the clean line of a case at a layer.
    bool is_routed(std::int32_t case_index, std::int32_t layer) const;
    /// Error(data) where it has not.
    Routed routed(std::int32_t case_index, std::int32_t layer) const;

    /// Rescue of an expert's equal-norm row (eq. 10); none where there is no such row.
    std::optional<double> equal_norm_rescue(std::int32_t case_index, std::int32_t layer, std::int32_t expert) const;

    /// By (layer, case).
    const std::map<std::pair<std::int32_t, std::int32_t>, Game>& games() const { return games_; }

    /// delta_clean - delta_noised; none of a case that was not swept.
    std::optional<double> noise_drop(std::int32_t case_index) const;

  private:
    static constexpr std::int32_t none = -1;
    static constexpr std::size_t kinds = 4;  // block, (expert,) coalition_clean, coalition_union

    bool has(Kind kind, std::int32_t layer) const;
    std::int32_t place(std::int32_t case_index, std::int32_t layer) const;  // none where nothing was added
    std::size_t make_place(std::int32_t case_index, std::int32_t layer);
    void check_cases(const std::vector<std::int32_t>& cases, const std::string& table) const;
    void check_rows(const RowTable& rows, const std::string& name) const;
    void check_routing(const RoutingTable& routing, const std::string& name) const;
    void add_routing(const RoutingTable& routing, const std::string& name);
    void add_row(const RowTable& rows, std::size_t line);
    void add_games(const RowTable& rows, const std::string& name);

    std::int32_t experts_, k_ = 0;
    std::vector<std::int32_t> layers_;
    std::vector<std::uint8_t> kinds_at_;            // of each layer: the kinds that have rows, as bits
    std::vector<std::vector<std::int32_t>> place_;  // (case, layer)
    std::vector<char> is_routed_;                   // of each place
    std::vector<std::int32_t> expert_;              // (places, k)
    std::vector<float> weight_, patch_norm_;        // (places, k)
    std::vector<double> expert_rescue_;             // (places, k)
    std::vector<double> rescue_;                    // (places, kinds)
    std::vector<std::optional<double>> noise_drop_;
    std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, double> equal_norm_;  // (layer, case, expert)
    std::map<std::pair<std::int32_t, std::int32_t>, Game> games_;
};

}  // namespace moesweep
