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
        files.push_back(read_file(run.store.sweep_path()));
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
    CHECK(contents(run.store.sweep_path()) == expected);
}

TEST_CASE("the merged file reads back as it was written, but for the vectors") {
    const Scratch scratch;
    const Run run(scratch / "run", 5, "patch");
    run.merge();
    const RunTables found = read_sweep(run.store.sweep_path());
    const auto of_all_cases = [](UnitTables tables) {  // the file keeps no ranges
        tables.case_begin = 0;
        tables.case_end = n_cases;
        return tables;
    };
    CHECK(std::ranges::equal(found.cases, run.tables.cases, same_case));
    CHECK(found.sweep == tables_of_cases(0, n_cases));
    CHECK(found.controls == run.tables.controls);
    REQUIRE(found.conditions.size() == 3);
    for (std::size_t n = 0; n < 3; ++n) {
        const Condition& expected = run.tables.conditions[n];
        CAPTURE(n);
        CHECK(found.conditions[n].scale == expected.scale);
        CHECK(found.conditions[n].draw == expected.draw);
        CHECK(found.conditions[n].tables == of_all_cases(expected.tables));
    }
}

TEST_CASE("a hundred conditions and more keep their order") {
    const Scratch scratch;
    const Store store(scratch / "run");
    store.open(some_config(), some_identity());
    RunTables run{random_cases(3, 1), store.read_units(0), {}, {}};
    for (std::int32_t draw = 0; draw < 110; ++draw) run.conditions.push_back({3, draw, UnitTables{}});
    store.write_sweep(0, run, {}, {}, {});
    const RunTables found = read_sweep(store.sweep_path());
    REQUIRE(found.conditions.size() == 110);
    for (std::size_t n = 0; n < 110; ++n) CHECK(found.conditions[n].draw == run.conditions[n].draw);
}

TEST_CASE("a run without a usable case has a merged file too") {
    const Scratch scratch;
    const Store store(scratch / "run");
    store.open(some_config(), some_identity());
    store.write_sweep(0, {random_cases(3, 1), store.read_units(0), {}, {}}, {}, {}, {});
    const RunTables found = read_sweep(store.sweep_path());
    CHECK(found.cases.size() == 3);
    CHECK(found.sweep.rows.size() == 0);
    CHECK(found.controls.size() == 0);
    CHECK(found.conditions.empty());
}

TEST_CASE("vectors come from the primary units, whichever series merges") {
    const Scratch scratch;
    const Run run(scratch / "run", 16, "patch");
    run.merge();
    const std::string expected = read_file(run.store.sweep_path());
    run.store.series("other").write_sweep(run.units, run.tables, some_results(), some_meta(), {{"command", "first"}});
    CHECK(read_file(run.store.sweep_path()) == expected);
}

TEST_CASE("merging again replaces the file; provenance changes nothing but itself") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge("first");
    const std::string first = read_file(run.store.sweep_path());
    run.merge("other");
    const std::string second = read_file(run.store.sweep_path());
    REQUIRE(first.size() == second.size());
    const auto at = static_cast<std::size_t>(std::ranges::mismatch(first, second).in1 - first.begin());
    CHECK(first.substr(at, 5) == "first");
    CHECK(std::inner_product(first.begin(), first.end(), second.begin(), 0, std::plus<>(), std::not_equal_to<>()) <=
          5 + 4);  // the text and the checksum over it
    CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "sweep.h5", "units"});
}

TEST_CASE("what does not fit together is not merged") {
    const Scratch scratch;
    const Run run(scratch / "run", 16, "patch");
    const auto merge = [&](const RunTables& tables, const std::vector<ResultTable>& results) {
        return failure_of([&] { run.store.write_sweep(run.units, tables, results, {}, {}); });
    };
    const auto expect_refused = [&](const std::function<void(RunTables&)>& spoil, Exit code,
                                    const std::string& message) {
        RunTables tables = run.tables;
        spoil(tables);
        const Failure failure = merge(tables, {});
        CHECK(failure.code == code);
        CHECK_THAT(failure.message, Contains("sweep.h5: " + message));
    };
    expect_refused([](RunTables& t) { t.cases.resize(35); }, Exit::data, "case_end: 37, but there are 35 cases");
    expect_refused([](RunTables& t) { t.conditions[1].tables.case_end = 38; }, Exit::data,
                   "conditions/01/case_end: 38, but there are 37 cases");
    expect_refused([](RunTables& t) { t.sweep.base.delta_clean.pop_back(); }, Exit::internal,
                   "base/delta_clean: 36 values, expected 37 x 1");
    expect_refused([](RunTables& t) { t.conditions[1].tables.rows.layer[1] = -1; }, Exit::internal,
                   "conditions/01/rows: line 1 is out of order");
    expect_refused([](RunTables& t) { t.conditions[0].tables.base.case_index[0] = 9; }, Exit::internal,
                   "conditions/00/base/case: line 0 is of case 9, expected one in [2, 9)");
    expect_refused([](RunTables& t) { t.controls.case_index.back() = 37; }, Exit::internal, "controls/case: line ");
    expect_refused([](RunTables& t) { t.controls.members.pop_back(); }, Exit::internal, "controls/members: ");

    std::vector<ResultTable> ragged = some_results();
    std::get<std::vector<double>>(ragged[0].columns[1].values).pop_back();
    const Failure results = merge(run.tables, ragged);
    CHECK(results.code == Exit::internal);
    CHECK_THAT(results.message, Contains("sweep.h5: results/layers/mean: 2 values, expected 3 x 1"));

    run.store.write_unit(1, tables_of_cases(16, 32));
    const Failure vectors = merge(run.tables, {});
    CHECK(vectors.code == Exit::data);
    CHECK_THAT(vectors.message, Contains("000001.h5: vectors: expected patch of width 8"));
    CHECK_FALSE(fs::exists(run.store.sweep_path()));
    CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "units"});
}
