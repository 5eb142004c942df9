// The parts of a unit file that the merged file's writer uses too.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "hdf5.h"
#include "moesweep/store/store.h"
#include "moesweep/tracing/tables.h"

namespace moesweep {

/// Opens a unit file. Error(data) if it is missing, damaged, of another run, of another series or of another unit.
hdf5::File open_unit(const Store& store, std::int64_t unit);

/// The vectors of a unit; none where there is no /vectors.
std::vector<VectorTable> read_vectors(const hdf5::Node& root);

/// The dataset of a vector table, (n, D).
ColumnInfo vector_info(const VectorTable& vectors);

/// How many vectors `vectors` must have: the lines of the table that it is aligned with. 0 for an unknown name.
std::size_t aligned_lines(const VectorTable& vectors, const UnitTables& tables);

/// What the messages about tables that are not as they must be say: "<file>: <parent>rows: ...".
struct Place {
    std::string file;
    Exit code;
    std::string parent = "";  ///< the group that holds the tables, with its slash
};

/// Error(place.code) unless columns are of one length, sorted without a repeat, and all of cases in [case_begin, case_end).
void expect_sound(const UnitTables& tables, const Place& place);
/// The same for rows that stand alone as the group `name`.
void expect_sound_rows(const RowTable& rows, const char* name, std::int32_t case_begin, std::int32_t case_end,
                       const Place& place);

/// Reads the groups base, routing and rows, for cases of a range that the file says elsewhere.
UnitTables read_tables(const hdf5::Node& parent, std::int32_t case_begin, std::int32_t case_end);

}  // namespace moesweep
