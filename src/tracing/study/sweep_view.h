// One sweep laid out for questions: for each (case, layer) what the clean run routes to and what each patch put back.
// Built once in two walks over the tables, then every question is a look-up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/tracing/tables.h"

namespace moesweep {

/// The experts that the clean run routes to at one (case, layer), in the order of /routing (by descending weight).
struct Routed {
    std::span<const std::int32_t> expert;
    std::span<const float> weight;
    std::span<const double> rescue;  ///< 0 where the expert has no row

    bool has(std::int32_t wanted) const;
    double rescue_of(std::int32_t wanted) const;  ///< 0 where `wanted` is not among them
};

/// The strict run, a noise condition or any other (routing, rows) of the same cases. Keeps a reference to the routing.
class SweepView {
  public:
    /// `cases`: number of lines of /cases.
    SweepView(const RoutingTable& routing, const RowTable& rows, std::size_t cases);

    const std::vector<std::int32_t>& layers() const { return layers_; }  ///< that have rows, ascending
    bool has_blocks(std::int32_t layer) const { return has(blocks_at_, layer); }
    bool has_experts(std::int32_t layer) const { return has(experts_at_, layer); }

    /// Rescue of a block or coalition row; NaN where there is no such row.
    double rescue(std::int32_t case_index, std::int32_t layer, Kind kind) const;

    /// Error(data) where /routing has no clean line, or the layer no row.
    Routed routed(std::int32_t case_index, std::int32_t layer) const;

  private:
    static constexpr std::ptrdiff_t none = -1;
    static constexpr std::size_t kinds = 4;  // block, (expert,) coalition_clean, coalition_union

    std::ptrdiff_t layer_line(std::int32_t layer) const;
    std::ptrdiff_t place(std::int32_t case_index, std::int32_t layer) const;  // of a (case, layer); none: no such line
    bool has(const std::vector<char>& flags, std::int32_t layer) const;
    void add_routing();
    void add_rows(const RowTable& rows);

    const RoutingTable& routing_;
    std::vector<std::int32_t> layers_;
    std::vector<char> blocks_at_, experts_at_;  // per line of layers_
    std::vector<std::ptrdiff_t> case_line_;     // of each case; none where it was not swept
    std::size_t swept_ = 0;                     // cases
    std::vector<std::ptrdiff_t> routing_line_;  // (layers, swept): line of the clean run
    std::vector<double> expert_rescue_;         // (layers, swept, k)
    std::vector<double> rescue_;                // (layers, swept, kinds)
};

}  // namespace moesweep
