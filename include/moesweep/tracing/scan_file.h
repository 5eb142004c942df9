// RUN/cases.h5: the finished scan, the list of items of a tracing run.
#pragma once
#include <optional>
#include <vector>

#include "moesweep/store/store.h"
#include "moesweep/tracing/cases.h"

namespace moesweep {

/// Every scanned record, and what a later merge must know of the model without opening it.
struct Scan {
    std::vector<Case> cases;  ///< in scan order
    Attributes meta;          ///< for /meta of the merged file

    std::int32_t experts() const;  ///< E. Error(data) if the scan did not note it
};

/// The finished scan, its cases split, or nothing if there is none yet. Error(data) if it is damaged or belongs to
/// another run.
std::optional<Scan> read_scan(const Store& store, const TracingConfig& config);
/// How the cases are split is left out: it may change.
void write_scan(const Store& store, const Scan& scan);

}  // namespace moesweep
