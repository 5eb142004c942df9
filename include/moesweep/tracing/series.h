// The series of units of a tracing run: the main one, one for each further draw and scale of the noise, and the second
// pass.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/model/model_config.h"
#include "moesweep/run/compute_units.h"
#include "moesweep/tracing/cases.h"
#include "moesweep/tracing/interventions.h"
#include "moesweep/tracing/noise.h"
#include "moesweep/tracing/study.h"

namespace moesweep {

/// The same cases under one noise, with the same kinds of rows; run.unit of them are a unit.
struct Series {
    UnitSet units;
    std::vector<std::int32_t> members;  ///< cases, as indices into all scanned ones
    Noise noise;
    Vectors vectors = Vectors::none;  ///< kept in the units
    /// By member: the experts of equal-norm rows. Empty where the series has none.
    std::vector<std::optional<Pair>> pairs = {};
};
Series main_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases);
/// One for each further draw and scale of the noise.
std::vector<Series> condition_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases);

/// The second pass: what is patched at the selected layer alone. Nothing where there is nothing to patch.
std::optional<Series> control_series(const TracingConfig& config, const Store& store, const std::vector<Case>& cases,
                                     Selection selection);
/// The selected expert and its gate-matched control in each member of a series (eq. 8), by the clean routing at the
/// selected layer; none where either is missing.
std::vector<std::optional<Pair>> matched_pairs(const std::vector<std::int32_t>& members, const SweepView& sweep,
                                               Selection selection);

/// The rows of the main and condition series, and of the second pass, per layer. Error(usage) for layers that the model
/// has not.
std::vector<SitePlan> sweep_sites(const TracingConfig& config, const ModelConfig& model);
std::vector<SitePlan> control_sites(const TracingConfig& config, const ModelConfig& model, Selection selection);

/// Computes and commits what a series lacks, as compute_units.
bool compute_series(const TracingConfig& config, Job& job, const std::vector<Case>& cases, const Series& series,
                    const std::vector<SitePlan>& sites);

}  // namespace moesweep
