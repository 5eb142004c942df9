#include "columns.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace moesweep::hdf5 {
namespace {

constexpr hsize_t chunk_bytes = hsize_t{1} << 20;

Id dataspace(Shape shape) {
    const hsize_t dims[] = {shape.rows, shape.width};
    return made(H5Screate_simple(shape.matrix ? 2 : 1, dims, nullptr), H5Sclose);
}

Id enum_type(const ColumnInfo& info) {
    Id type = made(H5Tenum_create(H5T_STD_I8LE), H5Tclose);
    for (std::int8_t value = 0; value < info.enum_size; ++value)
        expect_set(H5Tenum_insert(type, info.enum_names[value], &value));
    return type;
}

Id type_of(const ColumnInfo& info, Element element, std::size_t width) {
    if (info.enum_names) return enum_type(info);
    switch (element) {
        case Element::int8:
            return {H5Tcopy(H5T_STD_I8LE), H5Tclose};
        case Element::int32:
            return {H5Tcopy(H5T_STD_I32LE), H5Tclose};
        case Element::int64:
            return {H5Tcopy(H5T_STD_I64LE), H5Tclose};
        case Element::float32:
            return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
        case Element::float64:
            return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose};
        case Element::text:
            return text_type(width);
    }
    fail(Exit::internal, "{}: a column of no type", info.name);
}

Id type_of_dataset(const Node& dataset) {
    return {checked(H5Dget_type(dataset.id), dataset, "cannot read its type"), H5Tclose};
}

/// Chunks of equal height, so that the last one wastes little; an empty dataset has none.
Id dataset_properties(Shape shape, std::size_t element_bytes) {
    Id list = property_list(H5P_DATASET_CREATE);
    expect_set(H5Pset_obj_track_times(list, false));
    if (shape.size() == 0) return list;
    const hsize_t row_bytes = shape.width * element_bytes;
    const hsize_t chunks = std::min(shape.rows, (shape.rows * row_bytes + chunk_bytes - 1) / chunk_bytes);
    const hsize_t dims[] = {(shape.rows + chunks - 1) / chunks, shape.width};
    expect_set(H5Pset_chunk(list, shape.matrix ? 2 : 1, dims));
    expect_set(H5Pset_fletcher32(list));
    return list;
}

/// Room for a few chunks, so that a chunk which is filled piece by piece is written once.
Id dataset_access() {
    Id list = property_list(H5P_DATASET_ACCESS);
    expect_set(H5Pset_chunk_cache(list, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, 8 * chunk_bytes, 1.0));
    return list;
}

/// The lines [first, first + lines.rows) of the dataset's space.
Id selection(const Node& dataset, hsize_t first, Shape lines) {
    Id space(checked(H5Dget_space(dataset.id), dataset, "cannot read its shape"), H5Sclose);
    const hsize_t start[] = {first, 0}, count[] = {lines.rows, lines.width};
    checked(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, count, nullptr), dataset, "cannot select lines");
    return space;
}

Node open(const Node& parent, const std::string& name) {
    Node dataset{parent.source, {}, parent.child(name)};
    const Id access = dataset_access();
    dataset.id = {checked(H5Dopen2(parent.id, name.c_str(), access), dataset, "cannot be opened"), H5Dclose};
    return dataset;
}

/// The shape of a dataset, all of whose values must be stored.
Shape shape_of(const Node& dataset) {
    const Id space(checked(H5Dget_space(dataset.id), dataset, "cannot read its shape"), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank != 1 && rank != 2) dataset.refuse("expected 1 or 2 dimensions, found {}", rank);
    hsize_t dims[2] = {0, 1};
    checked(H5Sget_simple_extent_dims(space, dims, nullptr), dataset, "cannot read its shape");
    const Shape shape{dims[0], dims[1], rank == 2};
    const hsize_t stored = H5Dget_storage_size(dataset.id) / H5Tget_size(type_of_dataset(dataset));
    if (shape.rows > 0 && stored / shape.rows < shape.width)
        dataset.refuse("incomplete: {} of {} x {} values are stored", stored, shape.rows, shape.width);
    return shape;
}

std::span<const std::string> texts_of(const ColumnView& column) {
    return {static_cast<const std::string*>(column.values), column.count};
}

/// The column's texts, each padded with NUL to `width` bytes.
std::string padded(const Node& dataset, const ColumnView& column, std::size_t width) {
    std::string bytes(column.count * width, '\0');
    for (std::size_t i = 0; i < column.count; ++i) {
        const std::string& text = texts_of(column)[i];
        expect_no_nul(*dataset.source, dataset.path, text);
        text.copy(bytes.data() + i * width, width);
    }
    return bytes;
}

void read_lines(const Node& dataset, hid_t type, hsize_t first, Shape lines, void* data) {
    if (lines.size() == 0) return;
    checked(H5Dread(dataset.id, type, dataspace(lines), selection(dataset, first, lines), H5P_DEFAULT, data), dataset,
            "cannot be read");
}

void read_texts(const Node& dataset, const ColumnTarget& column) {
    const Id type = type_of_dataset(dataset);
    const Shape shape = shape_of(dataset);
    if (!is_text(type) || shape.matrix) dataset.refuse("expected a column of UTF-8 texts of fixed length");
    const std::size_t width = H5Tget_size(type);
    std::string bytes(shape.rows * width, '\0');
    read_lines(dataset, type, 0, shape, bytes.data());
    const auto texts = static_cast<std::string*>(column.resize(shape.rows, 1));
    for (hsize_t i = 0; i < shape.rows; ++i) texts[i] = unpadded(bytes.data() + i * width, width);
}

/// Error if an enum column holds a number that has no name.
void expect_named(const Node& dataset, const ColumnInfo& info, const std::int8_t* values, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        if (values[i] < 0 || values[i] >= info.enum_size)
            dataset.refuse("line {}: {} is none of its {} names", i, values[i], info.enum_size);
}

}  // namespace

Shape shape_of(const ColumnView& column) {
    const auto width = static_cast<hsize_t>(column.width);
    return {width == 0 ? 0 : column.count / width, width, column.info.matrix};
}

std::size_t text_width(const ColumnView& column) {
    if (column.element != Element::text) return 0;
    std::size_t width = 1;
    for (const std::string& text : texts_of(column)) width = std::max(width, text.size());
    return width;
}

Node create_dataset(const Node& parent, const ColumnView& column, hsize_t rows, std::size_t text_width) {
    Shape shape = shape_of(column);
    shape.rows = rows;
    const Id type = type_of(column.info, column.element, text_width), space = dataspace(shape),
             properties = dataset_properties(shape, H5Tget_size(type)), access = dataset_access();
    Node dataset{parent.source, {}, parent.child(column.info.name)};
    dataset.id = {checked(H5Dcreate2(parent.id, column.info.name, type, space, H5P_DEFAULT, properties, access),
                          dataset, "cannot be created"),
                  H5Dclose};
    write_attribute(dataset, "unit", std::string_view(column.info.unit));
    write_attribute(dataset, "meaning", std::string_view(column.info.meaning));
    return dataset;
}

Node open_dataset(const Node& parent, const ColumnView& column, hsize_t rows, std::size_t text_width) {
    Node dataset = open(parent, column.info.name);
    const Id type = type_of(column.info, column.element, text_width);
    if (H5Tequal(type_of_dataset(dataset), type) <= 0) dataset.refuse("unexpected type");
    const Shape found = shape_of(dataset), expected = shape_of(column);
    if (found.rows != rows || found.width != expected.width || found.matrix != expected.matrix)
        dataset.refuse("expected {} x {} values, found {} x {}", rows, expected.width, found.rows, found.width);
    return dataset;
}

void write_lines(const Node& dataset, hsize_t first, const ColumnView& column, std::size_t text_width) {
    const Shape lines = shape_of(column);
    if (lines.size() == 0) return;
    const bool is_text = column.element == Element::text;
    const std::string texts = is_text ? padded(dataset, column, text_width) : "";
    const Id type = type_of(column.info, column.element, text_width);
    checked(H5Dwrite(dataset.id, type, dataspace(lines), selection(dataset, first, lines), H5P_DEFAULT,
                     is_text ? texts.data() : column.values),
            dataset, "cannot be written");
}

bool has_lines(const Node& dataset, hsize_t first, const ColumnView& column, std::size_t text_width) {
    const Shape lines = shape_of(column);
    if (lines.size() == 0) return true;
    const bool is_text = column.element == Element::text;
    const std::string texts = is_text ? padded(dataset, column, text_width) : "";
    const Id type = type_of(column.info, column.element, text_width);
    std::vector<std::byte> found(lines.size() * H5Tget_size(type));
    read_lines(dataset, type, first, lines, found.data());
    return std::memcmp(found.data(), is_text ? texts.data() : column.values, found.size()) == 0;
}

void write_column(const Node& parent, const ColumnView& column) {
    const std::size_t width = text_width(column);
    write_lines(create_dataset(parent, column, shape_of(column).rows, width), 0, column, width);
}

void read_column(const Node& parent, const ColumnTarget& column) {
    const Node dataset = open(parent, column.info.name);
    if (column.element == Element::text) return read_texts(dataset, column);
    const Id type = type_of(column.info, column.element, 0);
    if (H5Tequal(type_of_dataset(dataset), type) <= 0) dataset.refuse("unexpected type");
    const Shape shape = shape_of(dataset);
    const auto expected = static_cast<hsize_t>(column.width());
    if (shape.matrix != column.info.matrix || (expected > 0 && shape.width != expected))
        dataset.refuse("expected {} column(s), found {}", expected, shape.width);
    void* values = column.resize(shape.size(), static_cast<int>(shape.width));
    read_lines(dataset, type, 0, shape, values);
    if (column.info.enum_names)
        expect_named(dataset, column.info, static_cast<const std::int8_t*>(values), shape.size());
}

void write_table(const Node& parent, const std::string& name, const std::vector<ColumnView>& columns) {
    const Node own = create_group(parent, name);
    for (const ColumnView& column : columns) {
        if (!column.info.group)
            write_column(own, column);
        else if (column.width > 0)
            write_column(has(parent, column.info.group) ? open_group(parent, column.info.group)
                                                        : create_group(parent, column.info.group),
                         column);
    }
}

void read_table(const Node& parent, const std::string& name, const std::vector<ColumnTarget>& columns, bool all) {
    const Node own = open_group(parent, name);
    for (const ColumnTarget& column : columns) {
        if (!column.info.group) {
            read_column(own, column);
        } else if (all && has(parent, column.info.group)) {
            const Node other = open_group(parent, column.info.group);
            if (has(other, column.info.name)) read_column(other, column);
        }
    }
}

}  // namespace moesweep::hdf5
