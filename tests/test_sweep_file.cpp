// The merged file: contents, contract, and what is left when writing fails.
#include <hdf5.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>
#include <numeric>
#include <set>

#include <catch2/catch.hpp>

#include "moesweep/files.h"
#include "moesweep/store.h"
#include "random_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

constexpr std::int32_t n_cases = 37;

Attributes some_meta() {
    return {{"family", "mixtral"}, {"config", std::string(300, 'k')}, {"empty", ""}};
}

std::vector<ResultTable> some_results() {
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
RunTables some_run() {
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

    Run(const fs::path& folder, std::int32_t unit, const std::string& vectors = "", std::int32_t width = 8)
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

/// No file of this process may grow past `bytes` while this lives: a disk that fills up at that point, without root.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        REQUIRE(getrlimit(RLIMIT_FSIZE, &old_) == 0);
        const rlimit now{bytes, old_.rlim_max};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &now) == 0);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }

  private:
    rlimit old_{};
    void (*old_handler_)(int);
};

/// A small file system on a folder; mounted() is false where that is not allowed.
class SmallDisk {
  public:
    explicit SmallDisk(const fs::path& folder) : folder_(folder) {
        fs::create_directories(folder);
        mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=500k") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    }
    bool mounted() const { return mounted_; }
    void set_read_only(bool read_only) const {
        const unsigned long flags = MS_REMOUNT | (read_only ? static_cast<unsigned long>(MS_RDONLY) : 0);
        REQUIRE(::mount(nullptr, folder_.c_str(), nullptr, flags, "size=500k") == 0);
    }
    /// Leaves no byte free.
    void fill() const {
        std::ofstream file(folder_ / "filler", std::ios::binary);
        const std::string page(4096, 'f');
        while (file.write(page.data(), 4096).flush()) {}
    }
    void empty() const { fs::remove(folder_ / "filler"); }

  private:
    fs::path folder_;
    bool mounted_ = false;
};

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

TEST_CASE("a disk that fills up at any point leaves no merged file, and the next attempt succeeds") {
    const Scratch scratch;
    const Run run(scratch / "run", 5, "patch", 100);
    run.merge();
    const std::string complete = read_file(run.store.sweep_path());
    fs::remove(run.store.sweep_path());
    const std::vector<std::string> before = entries(run.store.folder());
    for (std::size_t limit = 0; limit < complete.size(); limit += 1 + complete.size() / 50) {
        CAPTURE(limit, complete.size());
        const Failure failure = [&] {
            const FileSizeLimit small(limit);
            return failure_of([&] { run.merge(); });
        }();
        CHECK(failure.code == Exit::io);
        CHECK_THAT(failure.message, Contains("sweep.h5: ") && Contains("File too large"));
        CHECK(entries(run.store.folder()) == before);
        CHECK(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0);
    }
    run.merge();
    CHECK(read_file(run.store.sweep_path()) == complete);
}

TEST_CASE("a full disk and a read-only folder leave no file behind") {
    const Scratch scratch;
    const SmallDisk disk(scratch / "disk");
    if (!disk.mounted()) {
        WARN("skipped: mounting a small file system needs root");
        return;
    }
    const Run run(scratch / "disk" / "run", 37);
    const UnitTables unit = tables_of_cases(37, 60);
    const auto expect_io = [&](const Failure& failure, const std::string& file, const std::string& reason) {
        CHECK(failure.code == Exit::io);
        CHECK_THAT(failure.message, Contains(file + ": ") && Contains(reason));
        CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "units"});
        CHECK(entries(run.store.folder() / "units") == std::vector<std::string>{"000000.h5"});
    };
    disk.fill();
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "No space left on device");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "No space left on device");
    expect_io(failure_of([&] { run.store.write_scan({run.tables.cases, {}}); }), "cases.h5", "No space left on device");
    disk.empty();
    disk.set_read_only(true);
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "Read-only file system");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "Read-only file system");
    expect_io(failure_of([&] { run.store.open(some_config(37), some_identity()); }), "run", "Read-only file system");
    disk.set_read_only(false);

    // some blocks are free, but not enough
    for (const char* name : {"a", "b", "c"}) std::ofstream(scratch / "disk" / name) << std::string(4096, 'x');
    disk.fill();
    for (const char* name : {"a", "b", "c"}) fs::remove(scratch / "disk" / name);
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "No space left on device");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "No space left on device");
    disk.empty();
    run.merge();
    CHECK(read_sweep(run.store.sweep_path()).sweep == tables_of_cases(0, 37));
}

TEST_CASE("a merged file without one of its parts is refused, by name") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge();
    const auto [part, expected] = GENERATE(table<std::string, std::string>({
        {"base", "base: cannot be opened"},
        {"controls", "controls: cannot be opened"},
        {"conditions", "conditions: cannot be opened"},
        {"conditions/01", "conditions/01: cannot be opened"},
        {"conditions/02/rows", "conditions/02/rows: cannot be opened"},
        {"cases/relaxed_split", "cases/relaxed_split: cannot be opened"},
    }));
    const hid_t file = H5Fopen(run.store.sweep_path().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(H5Ldelete(file, part.c_str(), H5P_DEFAULT) >= 0);
    REQUIRE(H5Fclose(file) >= 0);
    const Failure failure = failure_of([&] { read_sweep(run.store.sweep_path()); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Contains("sweep.h5: " + expected));
}

TEST_CASE("an attribute of another type is refused") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge();
    const hid_t file = H5Fopen(run.store.sweep_path().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(H5Adelete_by_name(file, "conditions/01", "scale", H5P_DEFAULT) >= 0);
    CHECK(H5Arename_by_name(file, "conditions/01", "draw", "scale", H5P_DEFAULT) >= 0);
    REQUIRE(H5Fclose(file) >= 0);
    const Failure failure = failure_of([&] { read_sweep(run.store.sweep_path()); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Contains("sweep.h5: conditions/01/scale: expected a 64-bit floating-point number"));
}

TEST_CASE("a damaged merged file is refused") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge();
    fs::resize_file(run.store.sweep_path(), fs::file_size(run.store.sweep_path()) - 1);
    const Failure cut = failure_of([&] { read_sweep(run.store.sweep_path()); });
    CHECK(cut.code == Exit::data);
    CHECK_THAT(cut.message, Contains("sweep.h5: "));
    CHECK(failure_of([&] { read_sweep(scratch / "none.h5"); }).message ==
          (scratch / "none.h5").string() + ": no such file");
}
