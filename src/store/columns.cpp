#include "columns.h"

#include <algorithm>

namespace moesweep::hdf5 {
namespace {

constexpr hsize_t chunk_bytes = hsize_t{1} << 20;

Id dataspace(Shape shape) {
    const hsize_t dims[] = {shape.rows, shape.width};
    return made(H5Screate_simple(shape.matrix ? 2 : 1, dims, nullptr), H5Sclose);
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

}  // namespace

Id enum_type(const ColumnInfo& info) {
    Id type = made(H5Tenum_create(H5T_STD_I8LE), H5Tclose);
    for (std::int8_t value = 0; value < info.enum_size; ++value)
        expect_set(H5Tenum_insert(type, info.enum_names[value], &value));
    return type;
}

Node create_dataset(const Node& parent, const ColumnInfo& info, hid_t type, Shape shape) {
    const Id space = dataspace(shape), properties = dataset_properties(shape, H5Tget_size(type)),
             access = dataset_access();
    Node dataset{parent.source, {}, parent.child(info.name)};
    dataset.id = {checked(H5Dcreate2(parent.id, info.name, type, space, H5P_DEFAULT, properties, access), dataset,
                          "cannot be created"),
                  H5Dclose};
    write_attribute(dataset, "unit", std::string_view(info.unit));
    write_attribute(dataset, "meaning", std::string_view(info.meaning));
    return dataset;
}

Node open_dataset(const Node& parent, const std::string& name, hid_t type) {
    Node dataset{parent.source, {}, parent.child(name)};
    const Id access = dataset_access();
    dataset.id = {checked(H5Dopen2(parent.id, name.c_str(), access), dataset, "cannot be opened"), H5Dclose};
    if (type >= 0 && H5Tequal(type_of_dataset(dataset), type) <= 0) dataset.refuse("unexpected type");
    return dataset;
}

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

void write_lines(const Node& dataset, hid_t type, hsize_t first, Shape lines, const void* data) {
    if (lines.size() == 0) return;
    checked(H5Dwrite(dataset.id, type, dataspace(lines), selection(dataset, first, lines), H5P_DEFAULT, data), dataset,
            "cannot be written");
}

void read_lines(const Node& dataset, hid_t type, hsize_t first, Shape lines, void* data) {
    if (lines.size() == 0) return;
    checked(H5Dread(dataset.id, type, dataspace(lines), selection(dataset, first, lines), H5P_DEFAULT, data), dataset,
            "cannot be read");
}

void write_texts(const Node& parent, const ColumnInfo& info, const std::vector<std::string>& texts) {
    std::size_t width = 1;
    for (const std::string& text : texts) {
        expect_no_nul(parent, info.name, text);
        width = std::max(width, text.size());
    }
    std::string padded(texts.size() * width, '\0');
    for (std::size_t i = 0; i < texts.size(); ++i) texts[i].copy(padded.data() + i * width, width);
    const Id type = text_type(width);
    const Shape shape{texts.size()};
    write_lines(create_dataset(parent, info, type, shape), type, 0, shape, padded.data());
}

void read_texts(const Node& parent, const ColumnInfo& info, std::vector<std::string>& texts) {
    const Node dataset = open_dataset(parent, info.name, H5I_INVALID_HID);
    const Id type = type_of_dataset(dataset);
    const Shape shape = shape_of(dataset);
    if (!is_text(type) || shape.matrix) dataset.refuse("expected a column of UTF-8 texts of fixed length");
    const std::size_t width = H5Tget_size(type);
    std::string padded(shape.rows * width, '\0');
    read_lines(dataset, type, 0, shape, padded.data());
    texts.clear();
    for (hsize_t i = 0; i < shape.rows; ++i) texts.push_back(unpadded(padded.data() + i * width, width));
}

void expect_named(const Node& dataset, const ColumnInfo& info, const std::int8_t* values, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        if (values[i] < 0 || values[i] >= info.enum_size)
            dataset.refuse("line {}: {} is none of its {} names", i, values[i], info.enum_size);
}

}  // namespace moesweep::hdf5
