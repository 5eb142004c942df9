// The unit files: what goes in comes out, and what is damaged or unsound stays out.
#include <algorithm>
#include <functional>
#include <random>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

/// HDF5 1.10 loses memory of its own over a damaged object header. Its handles, ours to close, are counted below
/// instead.
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libhdf5";
}

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

/// Writes `values` over a dataset, in the dataset's own type.
void overwrite(hid_t file, const char* name, const void* values) {
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), type = H5Dget_type(dataset);
    CHECK(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Tclose(type);
    H5Dclose(dataset);
}

}  // namespace

TEST_CASE("a unit reads back as it was written, whatever its size") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    const std::string vectors = GENERATE("", "patch", "output");
    const std::int32_t k = GENERATE(1, 4), cases = GENERATE(0, 1, 2, 40);
    CAPTURE(vectors, k, cases);
    const UnitTables tables = tables_of_cases(7, 7 + cases, vectors, k, cases == 40 ? 700 : 3);
    CHECK_FALSE(store.has_unit(12));
    store.write_unit(12, tables);
    CHECK(store.has_unit(12));
    CHECK(store.unit_path(12) == scratch / "run" / "units" / "000012.h5");
    CHECK(store.read_unit<UnitTables>(12) == tables);
    CHECK(entries(scratch / "run" / "units") == std::vector<std::string>{"000012.h5"});
}

TEST_CASE("the same tables make the same bytes") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    store.write_unit(0, tables_of_cases(0, 9, "patch"));
    const std::string first = read_file(store.unit_path(0));
    store.write_unit(0, tables_of_cases(0, 9, "patch"));
    CHECK(read_file(store.unit_path(0)) == first);
}

TEST_CASE("units are joined in their order, without vectors") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    for (const int unit : {2, 0, 1}) store.write_unit(unit, tables_of_cases(5 * unit, 5 * unit + 5, "patch"));
    CHECK(read_units(store, 3) == tables_of_cases(0, 15));
    CHECK(read_units(store, 1) == tables_of_cases(0, 5));
    CHECK(read_units(store, 0) == UnitTables{});

    const Failure missing = failure_of([&] { read_units(store, 4); });
    CHECK(missing.code == Exit::data);
    CHECK_THAT(missing.message, Contains("000003.h5: no such file"));
    store.write_unit(2, tables_of_cases(9, 15));
    const Failure overlap = failure_of([&] { read_units(store, 3); });
    CHECK(overlap.code == Exit::data);
    CHECK_THAT(overlap.message, Contains("000002.h5: case_begin: 9"));
}

TEST_CASE("flipped bits never pass for data") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    const UnitTables tables = tables_of_cases(0, 5, "patch");
    store.write_unit(0, tables);
    const std::string good = read_file(store.unit_path(0));
    std::mt19937 random(17);
    for (int trial = 0; trial < 200; ++trial) {
        const std::size_t bit = random() % (good.size() * 8);
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        write_file_atomically(store.unit_path(0), bad);
        CAPTURE(trial, bit / 8, bit % 8);
        const Failure failure = failure_of([&] { store.read_unit<UnitTables>(0); });
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, Contains("000000.h5: damaged: "));

        // and with the seal made anew, HDF5's own checksums see it, or it lay in a gap of the file
        const std::string image = bad.substr(0, bad.size() - 73);
        if (bit / 8 >= image.size()) continue;
        write_file_atomically(store.unit_path(0), image + "\nsha256 " + sha256(image) + "\n");
        UnitTables found;
        if (failure_of([&] { found = store.read_unit<UnitTables>(0); }).code == Exit::done) CHECK(found == tables);
    }
    CHECK(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0);
}

TEST_CASE("a truncated unit is refused") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    store.write_unit(0, tables_of_cases(0, 5));
    const std::uintmax_t size = fs::file_size(store.unit_path(0));
    for (const std::uintmax_t length :
         {size - 1, size / 2, std::uintmax_t{100}, std::uintmax_t{8}, std::uintmax_t{0}}) {
        CAPTURE(length);
        fs::resize_file(store.unit_path(0), length);
        const Failure failure = failure_of([&] { store.read_unit<UnitTables>(0); });
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, Contains("000000.h5: "));
    }
}

TEST_CASE("a unit whose tables do not fit together is refused, by dataset") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    const UnitTables tables = tables_of_cases(3, 6, "output");
    store.write_unit(0, tables);
    std::function<void(hid_t)> change;
    std::string expected;
    SECTION("a case of another unit") {
        change = [&](hid_t file) {
            overwrite(file, "rows/case", std::vector<std::int32_t>(tables.rows.size(), 6).data());
        };
        expected = "rows/case: line 0 is of case 6, expected one in [3, 6)";
    }
    SECTION("lines out of order") {
        std::vector<std::int32_t> layers = tables.routing.layer;
        std::ranges::reverse(layers);
        change = [=](hid_t file) { overwrite(file, "routing/layer", layers.data()); };
        expected = "routing: line 2 is out of order";
    }
    SECTION("two subsets out of order") {
        std::vector<std::int32_t> members = tables.rows.members;
        const auto subset = std::ranges::find(members, 7);
        std::swap(*subset, *(subset + 1));
        change = [=](hid_t file) { overwrite(file, "rows/members", members.data()); };
        expected = fmt::format("rows: line {} is out of order", subset + 1 - members.begin());
    }
    SECTION("a row twice") {
        std::vector<std::int32_t> members = tables.rows.members;
        const auto subset = std::ranges::find(members, 7);
        *(subset + 1) = 7;
        change = [=](hid_t file) { overwrite(file, "rows/members", members.data()); };
        expected = fmt::format("rows: line {} is out of order", subset + 1 - members.begin());
    }
    SECTION("a case with two base lines") {
        change = [&](hid_t file) { overwrite(file, "base/case", std::vector<std::int32_t>{3, 4, 4}.data()); };
        expected = "base: line 2 is out of order";
    }
    SECTION("a base line of another unit") {
        change = [&](hid_t file) { overwrite(file, "base/case", std::vector<std::int32_t>{2, 3, 4}.data()); };
        expected = "base/case: line 0 is of case 2, expected one in [3, 6)";
    }
    SECTION("no base lines") {
        change = [](hid_t file) { CHECK(H5Ldelete(file, "base", H5P_DEFAULT) >= 0); };
        expected = "base: cannot be opened";
    }
    SECTION("a kind without a name") {
        change = [&](hid_t file) {
            overwrite(file, "rows/kind", std::vector<std::int8_t>(tables.rows.size(), 6).data());
        };
        expected = "rows/kind: line 0: 6 is none of its 6 names";
    }
    SECTION("a column missing") {
        change = [](hid_t file) { CHECK(H5Ldelete(file, "rows/delta", H5P_DEFAULT) >= 0); };
        expected = "rows/delta: cannot be opened";
    }
    SECTION("a column of another type") {
        change = [](hid_t file) {
            CHECK(H5Ldelete(file, "rows/delta", H5P_DEFAULT) >= 0);
            CHECK(H5Lcreate_hard(file, "rows/patch_norm", file, "rows/delta", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        };
        expected = "rows/delta: unexpected type";
    }
    SECTION("a column too short") {
        change = [](hid_t file) {
            CHECK(H5Ldelete(file, "rows/layer", H5P_DEFAULT) >= 0);
            CHECK(H5Lcreate_hard(file, "routing/layer", file, "rows/layer", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        };
        expected = fmt::format("rows/layer: 18 values, expected {} x 1", tables.rows.size());
    }
    SECTION("a matrix of another width") {
        change = [](hid_t file) {
            CHECK(H5Ldelete(file, "routing/weight", H5P_DEFAULT) >= 0);
            CHECK(H5Lcreate_hard(file, "vectors/output", file, "routing/weight", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        };
        expected = "routing/weight: expected 4 column(s), found 8";
    }
    edit_sealed(store.unit_path(0), change);
    const Failure failure = failure_of([&] { store.read_unit<UnitTables>(0); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Contains("000000.h5: " + expected));
}

TEST_CASE("tables that are not as they must be are not written") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    UnitTables tables = tables_of_cases(0, 2);
    std::string expected;
    SECTION("a row without its rescue") {
        tables.rows.rescue.pop_back();
        expected = "rows/rescue";
    }
    SECTION("a base line without its noised delta") {
        tables.base.delta_noised.pop_back();
        expected = "base/delta_noised: 1 values, expected 2 x 1";
    }
    const Failure failure = failure_of([&] { store.write_unit(0, tables); });
    CHECK(failure.code == Exit::internal);
    CHECK_THAT(failure.message, Contains(expected));
    CHECK_FALSE(store.has_unit(0));
}
