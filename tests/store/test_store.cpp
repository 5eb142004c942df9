// The run folder, its scan and its series of units.
#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

TEST_CASE("the scan reads back as it was written") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    CHECK_FALSE(read_scan(store, some_config()));
    const std::size_t n = GENERATE(0, 1, 300);
    const Attributes meta{{"zeta", "first"}, {"alpha", "\xc3\xa9"}, {"empty", ""}, {"long", std::string(100'000, 'x')}};
    std::vector<Case> cases = random_cases(n, 5);
    write_scan(store, {cases, meta});
    split_cases(some_config(), cases);  // how they are split is not in the file
    const std::optional<Scan> found = read_scan(store, some_config());
    REQUIRE(found);
    CHECK(std::ranges::equal(found->cases, cases, same_case));
    CHECK(found->meta == meta);
}

TEST_CASE("a text with a NUL is refused, since padding would swallow it") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    std::vector<Case> cases = random_cases(2, 1);
    cases[1].fact.subject = std::string("a\0", 2);
    const Failure failure = failure_of([&] { write_scan(store, {cases, {}}); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Contains("cases.h5: cases/subject: ") && Contains("NUL"));
    CHECK_FALSE(read_scan(store, some_config()));
}

TEST_CASE("files of another run, or under another unit's name, are refused") {
    const Scratch scratch;
    TracingConfig other = some_config();
    other.noise.scale = 4;
    const Store here = opened(scratch / "here"), there = opened(scratch / "there", other);
    there.write_unit(0, tables_of_cases(0, 2));
    write_scan(there, {random_cases(2, 1), {}});
    fs::copy(there.unit_path(0), here.unit_path(0));
    fs::copy(scratch / "there" / "cases.h5", scratch / "here" / "cases.h5");
    fs::copy(there.unit_path(0), there.unit_path(1));
    for (const Failure& failure :
         {failure_of([&] { here.read_unit<UnitTables>(0); }), failure_of([&] { read_scan(here, some_config()); })}) {
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, Contains("identity: belongs to another run"));
    }
    const Failure number = failure_of([&] { there.read_unit<UnitTables>(1); });
    CHECK(number.code == Exit::data);
    CHECK_THAT(number.message, Contains("000001.h5: /: unit: expected 1, found 0"));
}

TEST_CASE("a series keeps its units beside the primary ones") {
    const Scratch scratch;
    const Store primary = opened(scratch / "run"), other = primary.series("noise-1.5-draw-0");
    CHECK(primary.series_name().empty());
    CHECK(other.series_name() == "noise-1.5-draw-0");
    CHECK(other.folder() == primary.folder());
    CHECK(other.unit_path(3) == scratch / "run" / "units" / "noise-1.5-draw-0" / "000003.h5");
    CHECK(entries(scratch / "run" / "units").empty());  // nothing is made before it is needed

    primary.write_unit(0, tables_of_cases(0, 3));
    CHECK_FALSE(other.has_unit(0));
    CHECK(read_units(other, 0) == UnitTables{});
    other.write_unit(0, tables_of_cases(3, 6, "patch"));
    other.series("controls").write_unit(0, tables_of_cases(8, 9));  // of the run, not in a series of the series
    CHECK(other.has_unit(0));
    CHECK(entries(scratch / "run" / "units") == std::vector<std::string>{"000000.h5", "controls", "noise-1.5-draw-0"});
    CHECK(read_units(primary, 1) == tables_of_cases(0, 3));
    CHECK(other.read_unit<UnitTables>(0) == tables_of_cases(3, 6, "patch"));
    CHECK(read_units(other, 1) == tables_of_cases(3, 6));
    CHECK(read_units(primary.series("controls"), 1) == tables_of_cases(8, 9));

    write_file_atomically(other.unit_path(1).parent_path() / ".000001.h5.host.2.tmp", std::string_view("x"));
    primary.open(to_ini(some_config()), some_identity());
    CHECK(entries(scratch / "run" / "units" / "noise-1.5-draw-0") == std::vector<std::string>{"000000.h5"});
    CHECK(other.read_unit<UnitTables>(0) == tables_of_cases(3, 6, "patch"));
}

TEST_CASE("a unit of another series is refused") {
    const Scratch scratch;
    TracingConfig other_config = some_config();
    other_config.noise.scale = 4;
    const Store primary = opened(scratch / "run"), one = primary.series("one"), two = primary.series("two");
    one.write_unit(0, tables_of_cases(0, 2));
    two.write_unit(1, tables_of_cases(0, 2));
    fs::copy(one.unit_path(0), two.unit_path(0));
    fs::copy(one.unit_path(0), primary.unit_path(0));
    fs::copy(one.unit_path(0), one.unit_path(1));
    const Store there = opened(scratch / "there", other_config).series("one");
    there.write_unit(2, tables_of_cases(0, 2));
    fs::copy(there.unit_path(2), one.unit_path(2));
    const auto refused = [](const Store& store, std::int64_t unit, const std::string& expected) {
        const Failure failure = failure_of([&] { store.read_unit<UnitTables>(unit); });
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, Contains(store.unit_path(unit).string() + ": /: " + expected));
    };
    refused(two, 0, "series: expected \"two\", found \"one\"");
    refused(primary, 0, "series: expected \"\", found \"one\"");
    refused(one, 1, "unit: expected 1, found 0");
    refused(one, 2, "identity: belongs to another run");
}

TEST_CASE("a series has a name that can be a folder among unit files") {
    const Scratch scratch;
    const Store store(scratch / "run");
    for (const std::string name : {"", ".", "..", ".hidden", "a/b", "000001.h5"}) {
        const Failure failure = failure_of([&] { store.series(name); });
        CHECK(failure.code == Exit::internal);
        CHECK_THAT(failure.message, Contains("\"" + name + "\" cannot name a series"));
    }
}

TEST_CASE("a run folder keeps to its configuration") {
    const Scratch scratch;
    const fs::path folder = scratch / "deep" / "run";
    const Store store = opened(folder);
    TracingConfig config = some_config();
    CHECK(read_file(folder / "config.ini") == to_ini(config));
    CHECK(entries(folder) == std::vector<std::string>{"config.ini", "identity.ini", "units"});

    SECTION("a key that may not change is refused, with both values") {
        config.noise.scale = 4;
        const Failure failure = failure_of([&] { store.open(to_ini(config), some_identity(config)); });
        CHECK(failure.code == Exit::other_run);
        CHECK_THAT(failure.message, Contains(folder.string() + ": noise.scale: this run has 3, ") && Contains(" 4;"));
    }
    SECTION("so are other weights") {
        Identity identity = some_identity();
        value_of(identity, "weights_sha256")[0] = 'f';
        const Failure failure = failure_of([&] { store.open(to_ini(config), identity); });
        CHECK(failure.code == Exit::other_run);
        CHECK_THAT(failure.message, Contains("weights_sha256") && Contains(std::string(64, 'a')) &&
                                        Contains(value_of(identity, "weights_sha256")));
    }
    SECTION("a key of an older program that is no more is refused") {
        write_file_atomically(folder / "identity.ini", read_file(folder / "identity.ini") + "old.key = 7\n");
        const Failure failure = failure_of([&] { store.open(to_ini(config), some_identity(config)); });
        CHECK(failure.code == Exit::other_run);
        CHECK_THAT(failure.message, Contains("old.key: this run has 7"));
    }
    SECTION("a key that the run's program did not know had its default then") {
        const std::string text = read_file(folder / "identity.ini"), line = "noise.scale = 3\n";
        REQUIRE(text.find(line) != std::string::npos);
        write_file_atomically(folder / "identity.ini", std::string(text).erase(text.find(line), line.size()));
        store.open(to_ini(config), some_identity(config));
        config.noise.scale = 4;
        const Failure failure = failure_of([&] { store.open(to_ini(config), some_identity(config)); });
        CHECK(failure.code == Exit::other_run);
        CHECK_THAT(failure.message, Contains("noise.scale: this run has 3, ") && Contains(" 4;"));
    }
    SECTION("another architecture is refused by its field, but in a run that says nothing of it") {
        Identity identity = some_identity();
        identity.insert(identity.end(), {{"architecture.rope.rope_theta", "10000"}, {"bos", "none"}});
        store.open(to_ini(config), identity);
        const Store later(scratch / "later");
        later.open(to_ini(config), identity);
        value_of(identity, "architecture.rope.rope_theta") = "1000000";
        const Failure failure = failure_of([&] { later.open(to_ini(config), identity); });
        CHECK(failure.code == Exit::other_run);
        CHECK_THAT(failure.message,
                   Contains("architecture.rope.rope_theta: this run has 10000, ") && Contains(" 1000000;"));
    }
    SECTION("a key that may change is taken over") {
        config.run.progress = 1;
        store.open(to_ini(config), some_identity(config));
        CHECK(read_file(folder / "config.ini") == to_ini(config));
    }
    SECTION("what killed attempts left is removed, and nothing else") {
        store.write_unit(0, tables_of_cases(0, 1));
        write_file_atomically(folder / ".sweep.h5.1.tmp", std::string_view("x"));
        write_file_atomically(folder / "units" / ".000001.h5.host.2.tmp", std::string_view("x"));
        write_file_atomically(folder / "notes.tmp", std::string_view("x"));
        store.open(to_ini(config), some_identity(config));
        CHECK(entries(folder) == std::vector<std::string>{"config.ini", "identity.ini", "notes.tmp", "units"});
        CHECK(store.read_unit<UnitTables>(0) == tables_of_cases(0, 1));
    }
}
