// Run folders for the store's tests: opened, with units, merged, and changed without the store.
#pragma once
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "moesweep/store/merged_file.h"
#include "moesweep/store/store.h"
#include "random_run.h"
#include "store/columns.h"
#include "tracing/case_columns.h"

namespace moesweep {

inline Store opened(const std::filesystem::path& folder, const TracingConfig& config = some_config()) {
    const Store store(folder);
    store.open(to_ini(config), some_identity(config));
    return store;
}

/// Changes a file with HDF5's own calls, so that its checksums stay right.
inline void edit(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    REQUIRE(file >= 0);
    change(file);
    REQUIRE(H5Fclose(file) >= 0);
}

/// The same for a sealed file. HDF5 drops the seal, so it is written again.
inline void edit_sealed(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
    edit(path, change);
    const std::string image = read_file(path);
    write_file_atomically(path, image + "\nsha256 " + sha256(image) + "\n");
}

inline constexpr std::int32_t n_cases = 37;

inline Attributes some_meta() {
    return {{"family", "mixtral"}, {"config", std::string(300, 'k')}, {"empty", ""}};
}

inline std::vector<ResultTable> some_results() {
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    return {{"layers",
             "a line per layer",
             {{"layer", "", "decoder layer", std::vector<std::int32_t>{0, 1, 2}},
              {"mean", "logit", "mean rescue", std::vector<double>{nan, -infinity, 0.1}},
              {"name", "", "words", std::vector<std::string>{"", "\xc3\xa9t\xc3\xa9", "x"}},
              {"flag", "", "one or none", std::vector<std::int8_t>{1, 0, -1}},
              {"control", "", "experts drawn", std::vector<std::int32_t>{1, 2, 3, 4, -1, -1}, 2},
              {"seed", "", "of the draw", std::vector<std::int64_t>{std::int64_t{1} << 60, 0, -1}}},
             {{"selected", "2"}}},
            {"empty",
             "no lines",
             {{"case", "", "none", std::vector<std::int32_t>{}}, {"text", "", "none", std::vector<std::string>{}}},
             {}}};
}

/// A series beside the primary one: the noise that its cases are under, and their tables.
struct Condition {
    double scale;
    std::int64_t draw;
    UnitTables tables;
};

/// A run of n_cases cases with its units written: the sweep, another draw, two other scales (one of them without a
/// case), controls.
struct Run {
    Store store;
    std::int64_t units, unit;
    std::vector<Case> cases = random_cases(n_cases, 3);
    std::vector<Condition> conditions = {
        {3, 1, tables_of_cases(2, 9)}, {0.1, 0, tables_of_cases(5, 30)}, {4, 0, UnitTables{}}};
    UnitTables controls;

    Run(const std::filesystem::path& folder, std::int32_t size, const std::string& vectors = "", std::int32_t width = 8)
        : store(folder), units((n_cases + size - 1) / size), unit(size) {
        store.open(to_ini(some_config(size)), some_identity(some_config(size)));
        for (std::int32_t u = 0; u < units; ++u)
            store.write_unit(u, tables_of_cases(u * size, std::min(n_cases, (u + 1) * size), vectors, 4, width));
        for (std::size_t n = 0; n < conditions.size(); ++n)
            if (conditions[n].tables.base.size() > 0) condition(n).write_unit(0, conditions[n].tables);
        controls.items = {1, 21};
        for (const std::int32_t index : {1, 4, 20}) append(controls.rows, tables_of_cases(index, index + 1).rows);
        store.series("controls").write_unit(0, controls);
    }
    Store condition(std::size_t n) const { return store.series(fmt::format("condition-{}", n)); }

    void merge(const std::string& command = "first", const std::vector<ResultTable>& results = some_results()) const {
        const CaseColumns columns = to_columns(cases);
        const auto n = static_cast<std::int64_t>(cases.size());
        MergedFile file;
        file.group("meta", some_meta());
        file.table("cases", columns);
        file.units<UnitTables>(store, units, n, [](const std::string& table) { return table; });
        file.units<UnitTables>(store.series("controls"), 1, n,
                               [](const std::string& table) { return table == "rows" ? "controls" : ""; });
        file.group("conditions");
        for (std::size_t c = 0; c < conditions.size(); ++c) {
            const std::string group = fmt::format("conditions/{:02}", c);
            file.group(group, {{"scale", conditions[c].scale}, {"draw", conditions[c].draw}});
            file.units<UnitTables>(condition(c), condition(c).has_unit(0) ? 1 : 0, n,
                                   [group](const std::string& table) { return group + "/" + table; });
        }
        file.group("results");
        for (const ResultTable& table : results) file.result(table);
        file.group("provenance", Attributes{{"command", command}});
        file.write(path());
    }
    std::filesystem::path path() const { return store.folder() / "sweep.h5"; }
};

/// All units of a series joined, without their vectors.
inline UnitTables read_units(const Store& store, std::int64_t count) {
    UnitTables joined;
    store.for_each_unit<UnitTables>(count, Columns::of_own_groups, [&](const UnitTables& unit) {
        if (joined.base.size() == 0) joined.items.begin = unit.items.begin;
        joined.items.end = unit.items.end;
        append_tables(joined, unit);
    });
    return joined;
}

/// The tables of a merged file below a group ("" or "conditions/00/"), vectors included.
inline UnitTables read_merged(const std::filesystem::path& path, const std::string& parent = "") {
    const hdf5::File file = hdf5::File::open(path, path.string());
    hdf5::Node group = file.root();
    for (std::size_t begin = 0; begin < parent.size(); begin = parent.find('/', begin) + 1)
        group = open_group(group, parent.substr(begin, parent.find('/', begin) - begin));
    UnitTables tables;
    tables.items = {0, n_cases};
    for (const TableTarget& table : table_targets(tables)) hdf5::read_table(group, table.name, table.columns);
    return tables;
}

/// One table of a merged file.
template <class Table>
Table read_merged_table(const std::filesystem::path& path, const std::string& name) {
    const hdf5::File file = hdf5::File::open(path, path.string());
    Table table;
    hdf5::read_table(file.root(), name, targets(table), /*all=*/false);
    return table;
}

}  // namespace moesweep
