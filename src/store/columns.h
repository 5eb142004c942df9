// Columns as HDF5 datasets. The file's types are the machine's (little endian); enums are int8 with names; texts are
// fixed-length UTF-8, which fletcher32 covers as it does numbers.
#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "hdf5.h"
#include "moesweep/store/table.h"

namespace moesweep::hdf5 {

static_assert(std::endian::native == std::endian::little, "values are stored as they lie in memory");

/// rows x width elements; a vector (1-D) or a matrix (2-D).
struct Shape {
    hsize_t rows = 0, width = 1;
    bool matrix = false;
    hsize_t size() const { return rows * width; }
};
Shape shape_of(const ColumnView& column);

/// The bytes that a column's longest text takes, one at least, for HDF5 has no empty type; 0 of numbers.
std::size_t text_width(const ColumnView& column);

/// A dataset for columns like this one, of `rows` in all and texts of that width: chunks of at most 1 MiB under
/// fletcher32. Its attributes are "unit" and "meaning".
Node create_dataset(const Node& parent, const ColumnView& column, hsize_t rows, std::size_t text_width);
/// Opens a dataset that must be of exactly the type and shape that create_dataset() gives it, and have all its data.
Node open_dataset(const Node& parent, const ColumnView& column, hsize_t rows, std::size_t text_width);

/// The column as lines of a dataset, from `first` on.
void write_lines(const Node& dataset, hsize_t first, const ColumnView& column, std::size_t text_width);
/// Whether those lines hold it, byte by byte: NaN equals itself, and -0 is not 0.
bool has_lines(const Node& dataset, hsize_t first, const ColumnView& column, std::size_t text_width);

/// A whole column in a dataset of its own.
void write_column(const Node& parent, const ColumnView& column);
/// Reads a dataset of any length; its type, and the width where the target knows it, must fit.
void read_column(const Node& parent, const ColumnTarget& column);

/// A table as the group `name` of its columns. Those that stand in another group (ColumnInfo::group) are beside it.
void write_table(const Node& parent, const std::string& name, const std::vector<ColumnView>& columns);
/// Reads the columns of the table's own group, and with `all` the others, too, as far as they are there.
void read_table(const Node& parent, const std::string& name, const std::vector<ColumnTarget>& columns, bool all = true);

}  // namespace moesweep::hdf5
