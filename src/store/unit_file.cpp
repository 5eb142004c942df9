#include "unit_file.h"

#include <string_view>
#include <tuple>

#include "columns.h"
#include "identity.h"
#include "moesweep/files.h"

namespace moesweep {
namespace {

/// Columns of n x width elements, cases in range, lines ascending by key(line) (strictly: no line twice).
template <class Table, class Key>
void expect_sound_table(const Table& table, const char* name, const UnitTables& unit, bool strictly, Key key,
                        const std::string& file, Exit code) {
    const std::size_t n = table.size();
    columns(table, [&](const ColumnInfo& info, const auto& column, int width) {
        if (column.size() != n * static_cast<std::size_t>(width))
            fail(code, "{}: {}/{}: {} values, expected {} x {}", file, name, info.name, column.size(), n, width);
    });
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t index = table.case_index[i];
        if (index < unit.case_begin || index >= unit.case_end)
            fail(code, "{}: {}/case: line {} is of case {}, expected one in [{}, {})", file, name, i, index,
                 unit.case_begin, unit.case_end);
        if (i > 0 && (key(i) < key(i - 1) || (strictly && key(i) == key(i - 1))))
            fail(code, "{}: {}: line {} is out of order", file, name, i);
    }
}

void write_unit_tables(const hdf5::Node& root, const UnitTables& tables) {
    write_attribute(root, "case_begin", std::int64_t{tables.case_begin});
    write_attribute(root, "case_end", std::int64_t{tables.case_end});
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

void expect_sound(const UnitTables& tables, const std::string& file, Exit code) {
    if (tables.case_begin < 0 || tables.case_end < tables.case_begin)
        fail(code, "{}: case_begin, case_end: [{}, {}) is no range", file, tables.case_begin, tables.case_end);
    const RoutingTable& routing = tables.routing;
    const auto routing_key = [&](std::size_t i) {
        return std::tuple(routing.case_index[i], routing.layer[i], routing.run[i]);
    };
    expect_sound_table(routing, "routing", tables, true, routing_key, file, code);
    const RowTable& rows = tables.rows;
    const auto row_key = [&](std::size_t i) {
        return std::tuple(rows.case_index[i], rows.layer[i], rows.kind[i], rows.expert[i]);
    };
    expect_sound_table(rows, "rows", tables, false, row_key, file, code);
    for (const VectorTable& vectors : tables.vectors) {
        const std::size_t lines = aligned_lines(vectors, tables);
        if (vectors.width <= 0 || vectors.values.size() != lines * static_cast<std::size_t>(vectors.width))
            fail(code, "{}: vectors/{}: {} values, expected {} x {}", file, vectors.name, vectors.values.size(), lines,
                 vectors.width);
    }
}

RoutingTable read_routing(const hdf5::Node& root) {
    const hdf5::Node group = open_group(root, "routing");
    RoutingTable routing;
    routing.k = static_cast<std::int32_t>(shape_of(hdf5::open_dataset(group, "expert", H5I_INVALID_HID)).width);
    read_table(group, routing);
    return routing;
}

RowTable read_rows(const hdf5::Node& root) {
    RowTable rows;
    read_table(open_group(root, "rows"), rows);
    return rows;
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
    const std::filesystem::path path = store.unit_path(unit);
    hdf5::File file = hdf5::File::open(path, path.string());
    const hdf5::Node root = file.root();
    if (read_text_attribute(root, "identity") != run_digest(store.folder()))
        root.refuse("identity: belongs to another run than {}", (store.folder() / "identity.ini").string());
    if (const std::int64_t number = read_number_attribute(root, "unit"); number != unit)
        root.refuse("unit: expected {}, found {}", unit, number);
    return file;
}

std::filesystem::path Store::unit_path(std::int64_t unit) const {
    return folder_ / "units" / fmt::format("{:06}.h5", unit);
}

bool Store::has_unit(std::int64_t unit) const {
    std::error_code unreachable;  // then it is not there for us either, and writing it will say why
    return std::filesystem::exists(unit_path(unit), unreachable);
}

void Store::write_unit(std::int64_t unit, const UnitTables& tables) const {
    const std::filesystem::path path = unit_path(unit);
    expect_sound(tables, path.string(), Exit::internal);
    hdf5::File file = hdf5::File::image(path.string());
    {
        const hdf5::Node root = file.root();
        write_attribute(root, "identity", run_digest(folder_));
        write_attribute(root, "unit", unit);
        write_unit_tables(root, tables);
    }
    write_file_atomically(path, file.bytes());
}

UnitTables Store::read_unit(std::int64_t unit) const {
    const hdf5::File file = open_unit(*this, unit);
    const hdf5::Node root = file.root();
    UnitTables tables;
    tables.case_begin = static_cast<std::int32_t>(read_number_attribute(root, "case_begin"));
    tables.case_end = static_cast<std::int32_t>(read_number_attribute(root, "case_end"));
    tables.routing = read_routing(root);
    tables.rows = read_rows(root);
    tables.vectors = read_vectors(root);
    expect_sound(tables, unit_path(unit).string(), Exit::data);
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
        append(joined.routing, one.routing);
        append(joined.rows, one.rows);
    }
    return joined;
}

}  // namespace moesweep
