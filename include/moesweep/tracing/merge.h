// From units to sweep.h5.
#pragma once
#include <string>

#include "moesweep/run/job.h"
#include "moesweep/tracing/scan_file.h"
#include "moesweep/tracing/series.h"
#include "moesweep/tracing/study.h"

namespace moesweep {

/// The attributes of /meta that only a run knows, which opens the model.
Attributes describe(const TracingConfig& config, const Job& job);

/// The finished sweep under the run's own noise, unit by unit. Error(data) if a unit is missing.
StudyData read_sweep(const TracingConfig& config, const Store& store, const Scan& scan);

/// Joins all series, runs the study and writes sweep.h5. A second pass that was not made is left out, and the study
/// says so. Units are read one at a time: its memory is that of the study (sweep_view.h), not of the file.
///
///     /meta, /cases
///     /base, /routing, /rows                   the sweep under the run's own noise
///     /controls                                rows of the second pass; without lines where none was made
///     /conditions/00, 01, ...                  attributes scale (f64) and draw (i64); /base, /routing, /rows
///     /results                                 a group per table
///     /vectors                                 as the units of the sweep have them
///     /provenance
Study merge_run(const TracingConfig& config, const Store& store, const Attributes& provenance);

}  // namespace moesweep
