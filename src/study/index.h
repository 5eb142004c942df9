// Finds the lines of a run's tables: built once, then a binary search a question.
#pragma once
#include <cstdint>
#include <vector>

#include "moesweep/tables.h"

namespace moesweep {

/// Row lines by (case, layer, kind, expert). Keeps a reference to the table.
class RowIndex {
  public:
    explicit RowIndex(const RowTable& rows);

    /// The row's rescue, or nullptr where there is no such row.
    const double* find(std::int32_t case_index, std::int32_t layer, Kind kind, std::int32_t expert = -1) const;

  private:
    const RowTable& rows_;
    std::vector<std::int32_t> order_;  // lines, sorted by key
};

/// Clean routing lines by (case, layer). Keeps a reference to the table.
class CleanRouting {
  public:
    explicit CleanRouting(const RoutingTable& routing);

    /// The experts that the clean run routes to, ascending. Error(data) where the table has no such line.
    std::vector<std::int32_t> experts(std::int32_t case_index, std::int32_t layer) const;

  private:
    const RoutingTable& routing_;
    std::vector<std::int32_t> order_;  // lines of the clean run, sorted by (case, layer)
};

}  // namespace moesweep
