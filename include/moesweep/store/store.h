// The run's folder (DESIGN section 6). A file is there and complete, or it is not there. Every HDF5 return code is
// checked.
//
//     config.ini      the effective configuration, every key; rewritten when a key changes that may change
//     identity.ini    the keys that may not (is_identity), the SHA-256 of weights, tokenizer and facts, and what the
//                     model's config.json and BOS come to, one `key = value` a line; its text stands as attribute
//                     "identity" in cases.h5 and every unit
//     cases.h5        the finished scan: /meta and /cases
//     units/NNNNNN.h5 one block of cases: attributes series, unit, case_begin, case_end; /base, /routing, /rows, /vectors
//     units/<name>/   the same of another series: cases under another noise, or with other rows
//     sweep.h5        the merged file that people read
//     lock            who holds the folder (run_lock.h)
//
// cases.h5 and the units end in the SHA-256 of what is before it, which HDF5 does not mind: a damaged one is never
// read.
//
// One thread of a process may use a store at a time, because HDF5 is not thread-safe; processes may share one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/tracing/tables.h"

namespace moesweep {

/// What a run is about, beside its configuration. Two runs with the same configuration and identity compute the same
/// bits.
struct Identity {
    std::string weights_sha256, tokenizer_sha256, facts_sha256;
    std::vector<Setting> model = {};  ///< what the model's other files say, under keys "architecture.FIELD" and "bos"
};

/// The finished scan: every scanned record, and what a later merge must know of the model without opening it.
struct Scan {
    std::vector<Case> cases;  ///< in scan order
    Attributes meta;          ///< for /meta of the merged file
};

/// A run folder and one series of units in it: the primary one, units/ itself, unless series() named another. Cheap to
/// copy; holds no open file.
class Store {
  public:
    explicit Store(std::filesystem::path folder) : folder_(std::move(folder)) {}
    const std::filesystem::path& folder() const { return folder_; }

    /// The same run with its units in units/<name>/, a folder that is made when the first of them is written.
    /// Error(internal) for a name that cannot stand there: empty, with a slash, with a dot in front, or ending in
    /// ".h5".
    Store series(const std::string& name) const;
    const std::string& series_name() const { return series_; }  ///< "" of the primary one

    /// Opens the folder for this configuration, creating it with its config.ini when it is new, and removes what killed
    /// attempts left half-written, in every series. One process calls it, before any other uses the store.
    /// Error(other_run) names the first identity key that differs, with the old and the new value (also weights,
    /// tokenizer, facts, the model's architecture). A key that a run of an older program lacks had its default value
    /// then; what such a run does not say of its model is not compared. Error(io) when the folder cannot be written.
    void open(const Config& config, const Identity& identity) const;

    /// The finished scan, or nothing if there is none yet. Error(data) if it is damaged or belongs to another run.
    std::optional<Scan> read_scan() const;
    void write_scan(const Scan& scan) const;

    /// Units of this series, numbered from 0; unit u holds its cases [u * run.unit, (u + 1) * run.unit) in scan order.
    std::filesystem::path unit_path(std::int64_t unit) const;
    bool has_unit(std::int64_t unit) const;
    /// Error(io) if the file cannot be written: then there is none. Error(internal) if the tables are not as tables.h
    /// says.
    void write_unit(std::int64_t unit, const UnitTables& tables) const;
    /// Error(data) names a unit file that is missing, damaged, or belongs to another run, series or number; of another
    /// run, the key that differs, with both values.
    UnitTables read_unit(std::int64_t unit) const;
    /// Units 0 .. units-1 joined in order, without their vectors.
    UnitTables read_units(std::int64_t units) const;

    std::filesystem::path sweep_path() const;
    /// Writes sweep.h5:
    ///
    ///     /meta, /cases
    ///     /base, /routing, /rows                   the sweep under the run's own noise
    ///     /controls                                rows of the second pass; without lines where none was made
    ///     /conditions/00, 01, ... as in run.conditions: attributes scale (f64) and draw (i64); /base, /routing, /rows
    ///     /results                                 a group per table
    ///     /vectors                                 copied from the `units` primary units; none where they have none
    ///     /provenance
    ///
    /// The file is written under a temporary name, reopened, read back whole and compared before it is renamed into
    /// place. Two calls with equal arguments but for `provenance` write the same bytes in every other object.
    /// Error(io); Error(data) for units or cases that do not fit together; Error(internal) for tables that are not as
    /// tables.h says.
    void write_sweep(std::int64_t units, const RunTables& run, const std::vector<ResultTable>& results,
                     const Attributes& meta, const Attributes& provenance) const;

  private:
    std::filesystem::path folder_;
    std::string series_;
};

/// Reads a sweep.h5, without its vectors; its tables are of the cases [0, cases.size()). Error(data) if it is missing,
/// damaged or its parts do not fit together.
RunTables read_sweep(const std::filesystem::path& path);

}  // namespace moesweep
