// Columns and tables as HDF5 datasets and groups, typed by their element. The file's types are the machine's (little
// endian); enums are int8 with names; texts are fixed-length UTF-8, which fletcher32 covers as it does numbers.
#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "hdf5.h"
#include "moesweep/tracing/tables.h"

namespace moesweep::hdf5 {

static_assert(std::endian::native == std::endian::little, "values are stored as they lie in memory");

/// rows x width elements; a vector (1-D) or a matrix (2-D).
struct Shape {
    hsize_t rows = 0, width = 1;
    bool matrix = false;
    hsize_t size() const { return rows * width; }
};

template <class T>
Id type_of(const ColumnInfo& info);
Id enum_type(const ColumnInfo& info);

/// Creates a dataset with its "unit" and "meaning": chunks of at most 1 MiB under fletcher32.
Node create_dataset(const Node& parent, const ColumnInfo& info, hid_t type, Shape shape);
/// Opens a dataset that must be of exactly this type and have all its data.
Node open_dataset(const Node& parent, const std::string& name, hid_t type);
Shape shape_of(const Node& dataset);

/// Lines [first, first + rows.rows) of a dataset; `rows` must be of its width.
void write_lines(const Node& dataset, hid_t type, hsize_t first, Shape rows, const void* data);
void read_lines(const Node& dataset, hid_t type, hsize_t first, Shape rows, void* data);

void write_texts(const Node& parent, const ColumnInfo& info, const std::vector<std::string>& texts);
void read_texts(const Node& parent, const ColumnInfo& info, std::vector<std::string>& texts);
/// Error if an enum column holds a number that has no name.
void expect_named(const Node& dataset, const ColumnInfo& info, const std::int8_t* values, std::size_t n);

template <class T>
Id type_of(const ColumnInfo& info) {
    if constexpr (std::is_enum_v<T>) {
        static_assert(sizeof(T) == 1);
        return enum_type(info);
    } else if constexpr (std::is_same_v<T, std::int8_t>) {
        return {H5Tcopy(H5T_STD_I8LE), H5Tclose};
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
        return {H5Tcopy(H5T_STD_I32LE), H5Tclose};
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        return {H5Tcopy(H5T_STD_I64LE), H5Tclose};
    } else if constexpr (std::is_same_v<T, float>) {
        return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    } else {
        static_assert(std::is_same_v<T, double>);
        return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose};
    }
}

/// A whole column; values.size() is a multiple of `width`, or 0.
template <class T>
void write_column(const Node& parent, const ColumnInfo& info, const std::vector<T>& values, int width) {
    if constexpr (std::is_same_v<T, std::string>) {
        write_texts(parent, info, values);
    } else {
        const auto columns = static_cast<hsize_t>(width);
        const Shape shape{values.empty() ? 0 : values.size() / columns, columns, info.matrix || width > 1};
        const Id type = type_of<T>(info);
        write_lines(create_dataset(parent, info, type, shape), type, 0, shape, values.data());
    }
}

/// The column as it was written, of any length.
template <class T>
void read_column(const Node& parent, const ColumnInfo& info, std::vector<T>& values, int width) {
    if constexpr (std::is_same_v<T, std::string>) {
        read_texts(parent, info, values);
    } else {
        const Id type = type_of<T>(info);
        const Node dataset = open_dataset(parent, info.name, type);
        const Shape shape = shape_of(dataset);
        if (shape.matrix != (info.matrix || width > 1) || shape.width != static_cast<hsize_t>(width))
            dataset.refuse("expected {} column(s), found {}", width, shape.width);
        values.resize(shape.size());
        read_lines(dataset, type, 0, shape, values.data());
        if constexpr (std::is_enum_v<T>)
            expect_named(dataset, info, reinterpret_cast<const std::int8_t*>(values.data()), values.size());
    }
}

/// A table as a group of its columns.
template <class Table>
void write_table(const Node& group, const Table& table) {
    columns(table,
            [&](const ColumnInfo& info, const auto& values, int width) { write_column(group, info, values, width); });
}
template <class Table>
void read_table(const Node& group, Table& table) {
    columns(table, [&](const ColumnInfo& info, auto& values, int width) { read_column(group, info, values, width); });
}

}  // namespace moesweep::hdf5
