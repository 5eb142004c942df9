// The run's folder (docs/store.md). A file is there and complete, or it is not there. Every HDF5 return code is
// checked.
//
//     config.ini      the effective configuration, every key; rewritten when a key changes that may change
//     identity.ini    what the run is (identity.h); its text stands as attribute "identity" in the items and every unit
//     <items>.h5      the list of what the run is made of: /meta and /<items>
//     units/NNNNNN.h5 a unit: attributes series, unit, <item>_begin, <item>_end; a group for each of its tables
//     units/<name>/   the same of another series
//     lock            who holds the folder (run_lock.h)
//
// The items and the units end in the SHA-256 of what is before it, which HDF5 does not mind: a damaged one is never
// read. The file that people read is merged_file.h's.
//
// One thread of a process may use a store at a time, because HDF5 is not thread-safe; processes may share one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/store/identity.h"
#include "moesweep/store/result_table.h"
#include "moesweep/store/unit.h"

namespace moesweep {

/// Of the library that writes the files, "1.10.8".
const char* hdf5_version();

/// Which columns of a unit are read: all, or those that stand in their tables' own groups.
enum class Columns { all, of_own_groups };

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

    /// Opens the folder for a run, creating it with its config.ini when it is new, and removes what killed attempts
    /// left half-written, in every series. One process calls it, before any other uses the store. Error(other_run)
    /// names the first identity key that differs, with the old and the new value. Error(io) when the folder cannot be
    /// written.
    void open(const std::string& config_ini, const Identity& identity) const;

    /// What identity.ini says of a key; nothing where it, or the file, does not.
    std::optional<std::string> said(const std::string& key) const;

    /// The list of items, or nothing if there is none yet. Error(data) if it is damaged or belongs to another run.
    std::optional<Attributes> read_items(const std::string& name, const std::vector<ColumnTarget>& columns) const;
    void write_items(const std::string& name, const Attributes& meta, const std::vector<ColumnView>& columns) const;

    /// Units of this series, numbered from 0.
    std::filesystem::path unit_path(std::int64_t unit) const;
    bool has_unit(std::int64_t unit) const;
    /// Units [0, count) that are not there.
    std::vector<std::int64_t> missing_units(std::int64_t count) const;

    /// Error(io) if the file cannot be written: then there is none. Error(internal) if the unit is not as unit.h says.
    template <class Unit>
    void write_unit(std::int64_t number, const Unit& unit) const {
        expect_sound(unit, unit_path(number).string(), Exit::internal);
        write_unit_file(number, unit.items, Unit::item, table_views(unit));
    }
    /// Error(data) names a unit file that is missing, damaged, or belongs to another run, series or number; of another
    /// run, the key that differs, with both values.
    template <class Unit>
    Unit read_unit(std::int64_t number, Columns which = Columns::all) const {
        Unit unit;
        unit.items = read_unit_file(number, Unit::item, table_targets(unit), which);
        expect_sound(unit, unit_path(number).string(), Exit::data);
        return unit;
    }
    /// Calls use(unit) for the units 0 .. count-1, one at a time. Error(data) also if the items of one lie in that
    /// before.
    template <class Unit, class Use>
    void for_each_unit(std::int64_t count, Columns which, Use&& use) const {
        std::int32_t end = 0;
        for (std::int64_t number = 0; number < count; ++number) {
            const Unit unit = read_unit<Unit>(number, which);
            if (number > 0 && unit.items.begin < end)
                fail(Exit::data, "{}: {}_begin: {} lies in the unit before it, which ends at {}",
                     unit_path(number).string(), Unit::item, unit.items.begin, end);
            end = unit.items.end;
            use(unit);
        }
    }

  private:
    void write_unit_file(std::int64_t number, ItemRange items, const char* item,
                         const std::vector<TableView>& tables) const;
    ItemRange read_unit_file(std::int64_t number, const char* item, const std::vector<TableTarget>& tables,
                             Columns which) const;

    std::filesystem::path folder_;
    std::string series_;
};

}  // namespace moesweep
