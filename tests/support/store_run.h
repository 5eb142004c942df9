// Run folders for the store's tests: opened, with units, merged, and changed behind the store's back.
#pragma once
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "moesweep/store/store.h"
#include "random_run.h"

namespace moesweep {

inline Store opened(const std::filesystem::path& folder, const Config& config = some_config()) {
    const Store store(folder);
    store.open(config, some_identity());
    return store;
}

/// Changes a file with HDF5's own calls, so that its checksums stay right.
inline void edit(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    REQUIRE(file >= 0);
    change(file);
    REQUIRE(H5Fclose(file) >= 0);
}

/// The same of a file that ends in the SHA-256 of the rest, which HDF5 cuts off: it is made anew.
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

/// The merged tables of n_cases cases: the sweep, another draw, two other scales (one of them without a case), controls.
inline RunTables some_run() {
    RunTables run{random_cases(n_cases, 3), tables_of_cases(0, n_cases), {}, {}};
    run.conditions.push_back({3, 1, tables_of_cases(2, 9)});
    run.conditions.push_back({0.1, 0, tables_of_cases(5, 30)});
    run.conditions.push_back({4, 0, UnitTables{}});
    for (const std::int32_t index : {1, 4, 20}) append(run.controls, tables_of_cases(index, index + 1).rows);
    return run;
}

/// A run of n_cases cases with its primary units written.
struct Run {
    Store store;
    std::int64_t units;
    RunTables tables = some_run();

    Run(const std::filesystem::path& folder, std::int32_t unit, const std::string& vectors = "", std::int32_t width = 8)
        : store(folder), units((n_cases + unit - 1) / unit) {
        store.open(some_config(unit), some_identity());
        for (std::int32_t u = 0; u < units; ++u)
            store.write_unit(u, tables_of_cases(u * unit, std::min(n_cases, (u + 1) * unit), vectors, 4, width));
    }
    void merge(const std::string& command = "first") const {
        RunTables run = tables;
        run.sweep = store.read_units(units);
        store.write_sweep(units, run, some_results(), some_meta(), {{"command", command}});
    }
};

}  // namespace moesweep
