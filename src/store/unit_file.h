// The parts of a unit file that the merged file's writer uses too.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "hdf5.h"
#include "moesweep/store.h"
#include "moesweep/tables.h"

namespace moesweep {

/// Opens a unit file of this run. Error(data) if it is missing, damaged, of another run or of another unit.
hdf5::File open_unit(const Store& store, std::int64_t unit);

/// The vectors of a unit; none where there is no /vectors.
std::vector<VectorTable> read_vectors(const hdf5::Node& root);

/// The dataset of a vector table, (n, D).
ColumnInfo vector_info(const VectorTable& vectors);

/// How many vectors `vectors` must have: the lines of the table that it is aligned with. 0 for an unknown name.
std::size_t aligned_lines(const VectorTable& vectors, const UnitTables& tables);

/// Error(`code`) unless columns are of one length, sorted, and all of cases in [case_begin, case_end).
void expect_sound(const UnitTables& tables, const std::string& file, Exit code);

/// Reads /routing, whose width is in the file.
RoutingTable read_routing(const hdf5::Node& root);
RowTable read_rows(const hdf5::Node& root);

}  // namespace moesweep
