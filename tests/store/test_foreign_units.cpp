// What does not belong into a merged file is named: units of other runs, lost, doubled or damaged ones.
#include <algorithm>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

/// The words by which reading a unit of `here` refuses the same unit of a run of that configuration and identity.
std::string words_for(const TracingConfig& config, const Identity& identity) {
    const Scratch scratch;
    const Store here = opened(scratch / "here"), there(scratch / "there");
    there.open(to_ini(config), identity);
    there.write_unit(0, tables_of_cases(0, 2));
    write_scan(there, {random_cases(2, 1), {}});
    fs::copy(there.unit_path(0), here.unit_path(0));
    fs::copy(scratch / "there" / "cases.h5", scratch / "here" / "cases.h5");
    const Failure unit = failure_of([&] { read_units(here, 1); }),
                  scan = failure_of([&] { read_scan(here, some_config()); });
    const auto of_file = [&](const Failure& failure, const fs::path& file) {
        CHECK(failure.code == Exit::data);
        const std::string front = file.string() + ": /: identity: belongs to another run than " +
                                  (scratch / "here" / "identity.ini").string() + ": ";
        CHECK_THAT(failure.message, Catch::Matchers::StartsWith(front));
        return failure.message.substr(std::min(front.size(), failure.message.size()));
    };
    const std::string words = of_file(unit, here.unit_path(0));
    CHECK(of_file(scan, scratch / "here" / "cases.h5") == words);
    return words;
}

}  // namespace

TEST_CASE("a file of another configuration, other weights, another tokenizer or other facts is refused, naming which") {
    TracingConfig scale = some_config(), unit = some_config();
    scale.noise.scale = 4;
    unit.run.unit = 8;
    const auto differs = [](const std::string& key, const std::string& theirs, const std::string& ours) {
        return key + ": the file has " + theirs + ", the run " + ours;
    };
    CHECK(words_for(scale, some_identity(scale)) == differs("noise.scale", "4", "3"));
    CHECK(words_for(unit, some_identity(unit)) == differs("run.unit", "8", "16"));
    for (const char* key : {"weights_sha256", "tokenizer_sha256", "facts_sha256"}) {
        Identity other = some_identity();
        const std::string ours = value_of(other, key);
        value_of(other, key)[5] = 'f';
        CHECK(words_for(some_config(), other) == differs(key, value_of(other, key), ours));
    }
}

TEST_CASE("a file of a program with other keys is refused, naming one") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    store.write_unit(0, tables_of_cases(0, 2));
    const std::string ours = read_file(scratch / "run" / "identity.ini");
    write_file_atomically(scratch / "run" / "identity.ini", ours + "new.key = 1\n");
    CHECK_THAT(failure_of([&] { store.read_unit<UnitTables>(0); }).message,
               Contains("new.key: the file has no such key, the run 1"));
    store.write_unit(0, tables_of_cases(0, 2));
    write_file_atomically(scratch / "run" / "identity.ini", ours);
    CHECK_THAT(failure_of([&] { store.read_unit<UnitTables>(0); }).message,
               Contains("new.key: the file has 1, the run no such key"));
}

TEST_CASE("a lost unit, a doubled one and one of another series end the merge by name") {
    const Scratch scratch;
    const Run run(scratch / "run", 5);
    const fs::path file = run.store.unit_path(3);
    std::string expected;
    SECTION("lost") {
        fs::remove(file);
        expected = ": no such file";
    }
    SECTION("doubled") {
        fs::copy_file(run.store.unit_path(2), file, fs::copy_options::overwrite_existing);
        expected = ": /: unit: expected 3, found 2";
    }
    SECTION("of another series") {
        const Store other = run.store.series("controls");
        other.write_unit(3, tables_of_cases(15, 20));
        fs::copy_file(other.unit_path(3), file, fs::copy_options::overwrite_existing);
        expected = ": /: series: expected \"\", found \"controls\"";
    }
    SECTION("with cases of the one before it") {
        run.store.write_unit(3, tables_of_cases(14, 20));
        expected = ": case_begin: 14 lies in the unit before it, which ends at 15";
    }
    const Failure failure = failure_of([&] { run.merge(); });
    CHECK(failure.code == Exit::data);
    CHECK(failure.message == file.string() + expected);
    CHECK_FALSE(fs::exists(run.path()));
}

TEST_CASE("no flipped bit of a unit gets into a merged file") {
    const Scratch scratch;
    const Run run(scratch / "run", 20, "patch");
    const fs::path file = run.store.unit_path(1);
    const std::string good = read_file(file);
    std::mt19937 random(5);
    for (int trial = 0; trial < 400; ++trial) {
        const std::size_t bit = random() % (good.size() * 8);
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        std::ofstream(file, std::ios::binary) << bad;
        CAPTURE(trial, bit / 8, bit % 8);
        const Failure failure = failure_of([&] { run.merge(); });
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, Catch::Matchers::StartsWith(file.string() + ": damaged: "));
    }
    CHECK_FALSE(fs::exists(run.path()));
    std::ofstream(file, std::ios::binary) << good;
    run.merge();
    CHECK(read_merged(run.path()) == tables_of_cases(0, n_cases, "patch"));
}

TEST_CASE("a column lost to zeros is refused, though its checksum is lost to zeros with it and agrees") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    store.write_unit(0, tables_of_cases(0, 5));
    std::string content = read_file(store.unit_path(0));
    std::vector<double> deltas(tables_of_cases(0, 5).rows.size());

    hid_t file = H5Fopen(store.unit_path(0).c_str(), H5F_ACC_RDONLY, H5P_DEFAULT),
          column = H5Dopen2(file, "rows/delta", H5P_DEFAULT);
    haddr_t place = 0;
    hsize_t size = 0, first = 0;
    unsigned filters = 0;
    REQUIRE(H5Dget_chunk_info_by_coord(column, &first, &filters, &place, &size) >= 0);
    REQUIRE(size == deltas.size() * sizeof(double) + 4);
    CHECK((H5Dclose(column) >= 0 && H5Fclose(file) >= 0));

    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(place), size, '\0');
    std::ofstream(store.unit_path(0), std::ios::binary) << content;
    file = H5Fopen(store.unit_path(0).c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    column = H5Dopen2(file, "rows/delta", H5P_DEFAULT);
    CHECK(H5Dread(column, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, deltas.data()) >= 0);
    CHECK(deltas == std::vector<double>(deltas.size(), 0));  // HDF5 alone takes them for data
    CHECK((H5Dclose(column) >= 0 && H5Fclose(file) >= 0));
    CHECK_THAT(failure_of([&] { store.read_unit<UnitTables>(0); }).message, Contains("000000.h5: damaged: "));
}

TEST_CASE("the seal is the SHA-256 of what HDF5 reads") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    store.write_unit(0, tables_of_cases(0, 5));
    const std::string content = read_file(store.unit_path(0)), image = content.substr(0, content.size() - 73);
    CHECK(content.substr(image.size()) == "\nsha256 " + sha256(image) + "\n");
    std::ofstream(scratch / "image.h5", std::ios::binary) << image;
    const hid_t whole = H5Fopen((scratch / "image.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    CHECK(H5Fclose(whole) >= 0);
    std::ofstream(scratch / "image.h5", std::ios::binary) << image.substr(0, image.size() - 1);
    CHECK(H5Fopen((scratch / "image.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT) < 0);  // not a byte of it is the seal's
    for (const std::string& bad : {image, content + "\n", content + content, std::string(), content.substr(0, 72)}) {
        std::ofstream(store.unit_path(0), std::ios::binary) << bad;
        CHECK_THAT(failure_of([&] { store.read_unit<UnitTables>(0); }).message, Contains("000000.h5: damaged: "));
    }
}
