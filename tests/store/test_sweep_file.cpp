// The merged file: its contents and its contract.
#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

/// Every object of a file: "path" for a group, "path type" for a dataset; checks what all of them must have.
std::set<std::string> contents(const fs::path& path) {
    std::set<std::string> found;
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    REQUIRE(file >= 0);
    const auto visit = [](hid_t root, const char* name, const H5O_info_t* info, void* out) -> herr_t {
        CAPTURE(name);
        CHECK(info->atime + info->mtime + info->ctime + info->btime == 0);
        std::string line = name;
        if (info->type == H5O_TYPE_DATASET) {
            const hid_t dataset = H5Dopen2(root, name, H5P_DEFAULT), type = H5Dget_type(dataset),
                        space = H5Dget_space(dataset);
            const hid_t properties = H5Dget_create_plist(dataset);
            CHECK(H5Aexists(dataset, "unit") > 0);
            CHECK(H5Aexists(dataset, "meaning") > 0);
            if (H5Sget_simple_extent_npoints(space) > 0) CHECK(H5Pget_nfilters(properties) == 1);
            const char* kinds[] = {"i", "f", "", "str", "", "", "", "", "enum"};
            const H5T_class_t kind = H5Tget_class(type);
            line += fmt::format(" {}{}", kinds[kind], kind == H5T_STRING ? "" : std::to_string(8 * H5Tget_size(type)));
            if (H5Sget_simple_extent_ndims(space) == 2) line += " (n, m)";
            H5Pclose(properties);
            H5Sclose(space);
            H5Tclose(type);
            H5Dclose(dataset);
        }
        static_cast<std::set<std::string>*>(out)->insert(line);
        return 0;
    };
    CHECK(H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &found, H5O_INFO_BASIC | H5O_INFO_TIME) >= 0);
    CHECK(H5Fclose(file) >= 0);
    return found;
}

}  // namespace

TEST_CASE("the merged file does not show how cases were divided into units") {
    const Scratch scratch;
    const std::string vectors = GENERATE("", "patch", "output");
    const std::int32_t width = GENERATE(8, 3000);  // 3000: several chunks of vectors, filled across units
    std::vector<std::string> files;
    for (const std::int32_t unit : {1, 5, 16}) {
        const Run run(scratch / std::to_string(unit), unit, vectors, width);
        run.merge();
        files.push_back(read_file(run.path()));
    }
    CHECK(files[0] == files[1]);
    CHECK(files[0] == files[2]);
}

TEST_CASE("the merged file holds what the contract names") {
    const Scratch scratch;
    const Run run(scratch / "run", 5, "patch");
    run.merge();
    std::set<std::string> expected = {".",
                                      "meta",
                                      "provenance",
                                      "cases",
                                      "cases/case_id i64",
                                      "cases/record i32",
                                      "cases/relation str",
                                      "cases/subject str",
                                      "cases/prompt str",
                                      "cases/true_text str",
                                      "cases/foil_text str",
                                      "cases/status enum8",
                                      "cases/split enum8",
                                      "cases/relaxed_split enum8",
                                      "cases/token_begin i64",
                                      "cases/token_ids i32",
                                      "cases/subject_begin i32",
                                      "cases/subject_end i32",
                                      "cases/true_id i32",
                                      "cases/foil_id i32",
                                      "cases/delta_clean f64",
                                      "cases/delta_noised f64",
                                      "conditions",
                                      "vectors",
                                      "vectors/patch f32 (n, m)",
                                      "results",
                                      "results/layers",
                                      "results/layers/layer i32",
                                      "results/layers/mean f64",
                                      "results/layers/name str",
                                      "results/layers/flag i8",
                                      "results/layers/control i32 (n, m)",
                                      "results/layers/seed i64",
                                      "results/empty",
                                      "results/empty/case i32",
                                      "results/empty/text str"};
    const auto expect_group = [&](const std::string& group, const std::vector<std::string>& columns) {
        expected.insert(group);
        for (const std::string& column : columns) expected.insert(group + "/" + column);
    };
    const std::vector<std::string> rows = {"case i32",         "layer i32", "kind enum8",     "expert i32",
                                           "members i32",      "scale f32", "patch_norm f32", "clean_active i8",
                                           "noised_active i8", "delta f64", "rescue f64"};
    for (const std::string parent : {"", "conditions/00/", "conditions/01/", "conditions/02/"}) {
        if (!parent.empty()) expected.insert(parent.substr(0, parent.size() - 1));
        expect_group(parent + "base", {"case i32", "delta_clean f64", "delta_noised f64"});
        expect_group(parent + "routing", {"case i32", "layer i32", "run enum8", "expert i32 (n, m)",
                                          "weight f32 (n, m)", "contribution_norm f32 (n, m)", "gap f32"});
        expect_group(parent + "rows", rows);
    }
    expect_group("controls", rows);
    CHECK(contents(run.path()) == expected);
}

TEST_CASE("the merged file reads back as it was written") {
    const Scratch scratch;
    const std::string vectors = GENERATE("", "patch", "output");
    const Run run(scratch / "run", 5, vectors);
    run.merge();
    CHECK(std::ranges::equal(to_cases(read_merged_table<CaseColumns>(run.path(), "cases"), "sweep.h5"), run.cases,
                             same_case));
    CHECK(read_merged(run.path()) == tables_of_cases(0, n_cases, vectors));
    CHECK(read_merged_table<RowTable>(run.path(), "controls") == run.controls.rows);
    for (std::size_t n = 0; n < run.conditions.size(); ++n) {
        CAPTURE(n);
        UnitTables expected = run.conditions[n].tables;
        expected.items = {0, n_cases};  // the file keeps no ranges
        CHECK(read_merged(run.path(), fmt::format("conditions/{:02}/", n)) == expected);
    }
}

TEST_CASE("a run without a unit has a merged file too") {
    const Scratch scratch;
    Run run(scratch / "run", 37);
    run.units = 0;
    run.conditions.clear();
    run.merge();
    CHECK(read_merged(run.path()) == UnitTables{{0, n_cases}, {}, {}, {}});
}

TEST_CASE("merging again replaces the file; provenance changes nothing but itself") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge("first");
    const std::string first = read_file(run.path());
    run.merge("other");
    const std::string second = read_file(run.path());
    REQUIRE(first.size() == second.size());
    const auto at = static_cast<std::size_t>(std::ranges::mismatch(first, second).in1 - first.begin());
    CHECK(first.substr(at, 5) == "first");
    CHECK(std::inner_product(first.begin(), first.end(), second.begin(), 0, std::plus<>(), std::not_equal_to<>()) <=
          5 + 4);  // the text and the checksum over it
    CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "sweep.h5", "units"});
}

TEST_CASE("what does not fit together is not merged") {
    const Scratch scratch;
    Run run(scratch / "run", 16, "patch");
    std::vector<ResultTable> results;
    Exit code = Exit::data;
    std::string expected;
    SECTION("more cases than there are") {
        run.cases.resize(35);
        expected = "000002.h5: case_end: 37, but there are 35";
    }
    SECTION("more in a condition") {
        run.condition(1).write_unit(0, tables_of_cases(30, 38));
        expected = "condition-1/000000.h5: case_end: 38, but there are 37";
    }
    SECTION("columns of a result that differ in length") {
        results = some_results();
        std::get<std::vector<double>>(results[0].columns[1].values).pop_back();
        code = Exit::internal;
        expected = "results/layers/mean: 2 values, expected 3 x 1";
    }
    SECTION("a unit without vectors") {
        run.store.write_unit(1, tables_of_cases(16, 32));
        expected = "000001.h5: vectors/patch: 0 values a line, the units before it have 8";
    }
    SECTION("a unit with vectors behind those without") {
        run.store.write_unit(0, tables_of_cases(0, 16));
        expected = fmt::format("rows/patch: {} lines in all units, expected {}", tables_of_cases(16, 37).rows.size(),
                               tables_of_cases(0, 37).rows.size());
    }
    SECTION("a unit of another number of routed experts") {
        run.store.write_unit(1, tables_of_cases(16, 32, "patch", 3));
        expected = "000001.h5: routing/expert: 3 values a line, the units before it have 4";
    }
    const Failure failure = failure_of([&] { run.merge("first", results); });
    CHECK(failure.code == code);
    CHECK_THAT(failure.message, Contains(expected));
    CHECK_FALSE(fs::exists(run.path()));
    CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "units"});
}
