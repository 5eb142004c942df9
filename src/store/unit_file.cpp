#include "unit_file.h"

#include <string_view>
#include <tuple>

#include "columns.h"
#include "identity.h"
#include "moesweep/base/files.h"
#include "sealed_file.h"

namespace moesweep {
namespace {

/// Columns of n x width elements, cases in [case_begin, case_end), lines strictly ascending by key(line).
template <class Table, class Key>
void expect_sound_table(const Table& table, const char* name, std::int32_t case_begin, std::int32_t case_end, Key key,
                        const Place& place) {
    const std::size_t n = table.size();
    const std::string path = place.parent + name;
    columns(table, [&](const ColumnInfo& info, const auto& column, int width) {
        if (column.size() != n * static_cast<std::size_t>(width))
            fail(place.code, "{}: {}/{}: {} values, expected {} x {}", place.file, path, info.name, column.size(), n,
                 width);
    });
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t index = table.case_index[i];
        if (index < case_begin || index >= case_end)
            fail(place.code, "{}: {}/case: line {} is of case {}, expected one in [{}, {})", place.file, path, i, index,
                 case_begin, case_end);
        if (i > 0 && key(i) <= key(i - 1)) fail(place.code, "{}: {}: line {} is out of order", place.file, path, i);
    }
}

void write_unit_tables(const hdf5::Node& root, const UnitTables& tables) {
    write_attribute(root, "case_begin", std::int64_t{tables.case_begin});
    write_attribute(root, "case_end", std::int64_t{tables.case_end});
    write_table(create_group(root, "base"), tables.base);
    write_table(create_group(root, "routing"), tables.routing);
    write_table(create_group(root, "rows"), tables.rows);
    if (tables.vectors.empty()) return;
    const hdf5::Node group = create_group(root, "vectors");
    for (const VectorTable& vectors : tables.vectors)
        write_column(group, vector_info(vectors), vectors.values, vectors.width);
}

}  // namespace

ColumnInfo vector_info(const VectorTable& vectors) {
    return {vectors.name.c_str(),
            "",
            vectors.name == "patch" ? "vector added to the noised MoE output, a line for each of /rows"
                                    : "MoE output at the last position, a line for each of /routing",
            nullptr,
            0,
            true};
}

std::size_t aligned_lines(const VectorTable& vectors, const UnitTables& tables) {
    if (vectors.name == "patch") return tables.rows.size();
    if (vectors.name == "output") return tables.routing.size();
    return 0;
}

void expect_sound(const UnitTables& tables, const Place& place) {
    const std::int32_t begin = tables.case_begin, end = tables.case_end;
    if (begin < 0 || end < begin)
        fail(place.code, "{}: {}case_begin, case_end: [{}, {}) is no range", place.file, place.parent, begin, end);
    const auto base_key = [&](std::size_t i) { return tables.base.case_index[i]; };
    expect_sound_table(tables.base, "base", begin, end, base_key, place);
    const RoutingTable& routing = tables.routing;
    const auto routing_key = [&](std::size_t i) {
        return std::tuple(routing.case_index[i], routing.layer[i], routing.run[i]);
    };
    expect_sound_table(routing, "routing", begin, end, routing_key, place);
    expect_sound_rows(tables.rows, "rows", begin, end, place);
    for (const VectorTable& vectors : tables.vectors) {
        const std::size_t lines = aligned_lines(vectors, tables);
        if (vectors.width <= 0 || vectors.values.size() != lines * static_cast<std::size_t>(vectors.width))
            fail(place.code, "{}: {}vectors/{}: {} values, expected {} x {}", place.file, place.parent, vectors.name,
                 vectors.values.size(), lines, vectors.width);
    }
}

void expect_sound_rows(const RowTable& rows, const char* name, std::int32_t case_begin, std::int32_t case_end,
                       const Place& place) {
    const auto key = [&](std::size_t i) {
        return std::tuple(rows.case_index[i], rows.layer[i], rows.kind[i], rows.expert[i], rows.members[i]);
    };
    expect_sound_table(rows, name, case_begin, case_end, key, place);
}

UnitTables read_tables(const hdf5::Node& parent, std::int32_t case_begin, std::int32_t case_end) {
    UnitTables tables;
    tables.case_begin = case_begin;
    tables.case_end = case_end;
    read_table(open_group(parent, "base"), tables.base);
    const hdf5::Node routing = open_group(parent, "routing");
    tables.routing.k =
        static_cast<std::int32_t>(shape_of(hdf5::open_dataset(routing, "expert", H5I_INVALID_HID)).width);
    read_table(routing, tables.routing);
    read_table(open_group(parent, "rows"), tables.rows);
    return tables;
}

std::vector<VectorTable> read_vectors(const hdf5::Node& root) {
    std::vector<VectorTable> result;
    if (!has(root, "vectors")) return result;
    const hdf5::Node group = open_group(root, "vectors");
    for (const std::string& name : names(group)) {
        VectorTable& vectors = result.emplace_back();
        vectors.name = name;
        vectors.width = static_cast<std::int32_t>(shape_of(hdf5::open_dataset(group, name, H5I_INVALID_HID)).width);
        read_column(group, vector_info(vectors), vectors.values, vectors.width);
    }
    return result;
}

hdf5::File open_unit(const Store& store, std::int64_t unit) {
    hdf5::File file = open_sealed(store.unit_path(unit));
    const hdf5::Node root = file.root();
    expect_of_run(root, store.folder());
    if (const std::string series = read_text_attribute(root, "series"); series != store.series_name())
        root.refuse("series: expected \"{}\", found \"{}\"", store.series_name(), series);
    if (const std::int64_t number = read_number_attribute(root, "unit"); number != unit)
        root.refuse("unit: expected {}, found {}", unit, number);
    return file;
}

std::filesystem::path Store::unit_path(std::int64_t unit) const {
    return folder_ / "units" / series_ / fmt::format("{:06}.h5", unit);
}

bool Store::has_unit(std::int64_t unit) const {
    std::error_code unreachable;  // then it is not there for us either, and writing it will say why
    return std::filesystem::exists(unit_path(unit), unreachable);
}

void Store::write_unit(std::int64_t unit, const UnitTables& tables) const {
    const std::filesystem::path path = unit_path(unit);
    expect_sound(tables, {path.string(), Exit::internal});
    hdf5::File file = hdf5::File::image(path.string());
    {
        const hdf5::Node root = file.root();
        write_attribute(root, "identity", std::string_view(run_identity(folder_)));
        write_attribute(root, "series", std::string_view(series_));
        write_attribute(root, "unit", unit);
        write_unit_tables(root, tables);
    }
    if (!series_.empty()) make_writable_folder(path.parent_path());  // open() made the one of the primary series
    write_sealed(path, file);
}

UnitTables Store::read_unit(std::int64_t unit) const {
    const hdf5::File file = open_unit(*this, unit);
    const hdf5::Node root = file.root();
    const auto number = [&](const char* name) { return static_cast<std::int32_t>(read_number_attribute(root, name)); };
    UnitTables tables = read_tables(root, number("case_begin"), number("case_end"));
    tables.vectors = read_vectors(root);
    expect_sound(tables, {unit_path(unit).string(), Exit::data});
    return tables;
}

UnitTables Store::read_units(std::int64_t units) const {
    UnitTables joined;
    for (std::int64_t unit = 0; unit < units; ++unit) {
        const UnitTables one = read_unit(unit);
        if (unit == 0) {
            joined.case_begin = one.case_begin;
        } else if (one.case_begin < joined.case_end) {
            fail(Exit::data, "{}: case_begin: {} lies in the unit before it, which ends at {}",
                 unit_path(unit).string(), one.case_begin, joined.case_end);
        }
        joined.case_end = one.case_end;
        if (joined.routing.size() == 0) joined.routing.k = one.routing.k;
        if (one.routing.size() > 0 && one.routing.k != joined.routing.k)
            fail(Exit::data, "{}: routing/expert: {} experts a line, the units before it have {}",
                 unit_path(unit).string(), one.routing.k, joined.routing.k);
        append(joined.base, one.base);
        append(joined.routing, one.routing);
        append(joined.rows, one.rows);
    }
    return joined;
}

}  // namespace moesweep
