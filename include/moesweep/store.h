// The run's folder: config.ini, cases.h5 (the scan), units/NNNNNN.h5, and the merged sweep.h5 (DESIGN section 6).
// A file is there and complete, or it is not there. Every HDF5 return code is checked.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/config.h"
#include "moesweep/tables.h"

namespace moesweep {

/// What a run is about, beside its configuration. Two runs with the same configuration and identity compute the same bits.
struct Identity {
    std::string weights_sha256, tokenizer_sha256, facts_sha256;
};

/// A run folder. Cheap to copy; holds no open file.
class Store {
  public:
    explicit Store(std::filesystem::path folder) : folder_(std::move(folder)) {}
    const std::filesystem::path& folder() const { return folder_; }

    /// Opens the folder for this configuration, creating it with its config.ini when it is new. Error(other_run) names the
    /// first identity key that differs, with the old and the new value (also weights, tokenizer, facts); Error(io) when
    /// the folder cannot be written.
    void open(const Config& config, const Identity& identity) const;

    /// The finished scan, or nothing if there is none yet.
    std::optional<std::vector<Case>> read_cases() const;
    void write_cases(const std::vector<Case>& cases) const;

    /// Units are numbered from 0; unit u holds the usable cases [u * run.unit, (u + 1) * run.unit) in scan order.
    std::filesystem::path unit_path(std::int64_t unit) const;
    bool has_unit(std::int64_t unit) const;
    void write_unit(std::int64_t unit, const UnitTables& tables) const;
    /// Error(data) names a unit file that is damaged or belongs to another run.
    UnitTables read_unit(std::int64_t unit) const;
    /// Units 0 .. units-1 joined in order, without their vectors.
    UnitTables read_units(std::int64_t units) const;

    /// Writes sweep.h5: /meta, /provenance, /cases, /routing, /rows, /results, and /vectors copied unit by unit. The file
    /// is written under a temporary name, reopened, read back whole and compared before it is renamed into place.
    void write_sweep(std::int64_t units, const std::vector<Case>& cases, const UnitTables& joined,
                     const std::vector<ResultTable>& results, const Attributes& meta, const Attributes& provenance) const;

  private:
    std::filesystem::path folder_;
};

}  // namespace moesweep
