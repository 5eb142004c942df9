// Attempts that overlap: a new one clears the folder while a dying one still commits.
#include <catch2/catch.hpp>

#include "commit_hook.h"
#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

/// What a new attempt does first, in the middle of the step `when` of the old one's commit.
CommitHook another_attempt(CommitStep when, const fs::path& folder) {
    return CommitHook([=](CommitStep step, const fs::path&) {
        if (step == when) opened(folder);
    });
}

/// `commit` loses its temporary file at that step: then it says so and has changed nothing, and another time it
/// succeeds.
void expect_clean_failure(const fs::path& folder, const fs::path& file, CommitStep when,
                          const std::function<void()>& commit) {
    CAPTURE(file, commit_step_names[static_cast<int>(when)]);
    const std::vector<std::string> in_folder = entries(folder), in_units = entries(folder / "units");
    const std::string before = fs::exists(file) ? read_file(file) : "";
    const Failure failure = [&] {
        const CommitHook hook = another_attempt(when, folder);
        return failure_of(commit);
    }();
    CHECK(failure.code == Exit::io);
    CHECK_THAT(failure.message, Contains(file.filename().string() + ": ") && Contains("o such file"));
    CHECK(entries(folder) == in_folder);
    CHECK(entries(folder / "units") == in_units);
    CHECK((fs::exists(file) ? read_file(file) : "") == before);
}

}  // namespace

TEST_CASE("a dying attempt whose temporary file a new one removes fails cleanly") {
    const CommitStep when = GENERATE(CommitStep::opened, CommitStep::written, CommitStep::synced);
    const Scratch scratch;
    const Run run(scratch / "run", 16, "patch");
    const Store& store = run.store;
    const UnitTables tables = tables_of_cases(40, 44);
    const auto write_unit = [&] { store.write_unit(3, tables); };
    const auto write_cases = [&] { write_scan(store, {run.cases, {}}); };
    const auto merge = [&] { run.merge(); };

    expect_clean_failure(store.folder(), store.unit_path(3), when, write_unit);
    expect_clean_failure(store.folder(), store.folder() / "cases.h5", when, write_cases);
    expect_clean_failure(store.folder(), run.path(), when, merge);
    write_unit();
    write_cases();
    merge();
    CHECK(store.read_unit<UnitTables>(3) == tables);
    CHECK(read_scan(store, some_config()));
    CHECK(read_merged(run.path()) == tables_of_cases(0, n_cases, "patch"));
    expect_clean_failure(store.folder(), store.unit_path(3), when, write_unit);  // what was committed stays
    expect_clean_failure(store.folder(), run.path(), when, merge);
}

TEST_CASE("two attempts that commit the same unit leave its bytes, whoever is last") {
    const Scratch scratch;
    const Store store = opened(scratch / "run");
    const UnitTables tables = tables_of_cases(0, 5);
    store.write_unit(0, tables);
    const std::string expected = read_file(store.unit_path(0));
    int others = 0;
    {
        const CommitHook hook([&](CommitStep step, const fs::path& file) {
            if (step != CommitStep::begun && step != CommitStep::renamed) return;
            CHECK(file == store.unit_path(0));
            Store(store.folder()).write_unit(0, tables);
            CHECK(read_file(store.unit_path(0)) == expected);
            ++others;
        });
        store.write_unit(0, tables);
    }
    CHECK(others == 2);
    CHECK(read_file(store.unit_path(0)) == expected);
    CHECK(entries(store.folder() / "units") == std::vector<std::string>{"000000.h5"});
}

TEST_CASE("every step of a commit is passed once, in order, and the file is there from the rename on") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    std::vector<std::string> seen;
    const CommitHook hook([&](CommitStep step, const fs::path& file) {
        seen.emplace_back(commit_step_names[static_cast<int>(step)]);
        CHECK(fs::exists(file) == (step >= CommitStep::renamed));
    });
    const std::vector<std::string> all(std::begin(commit_step_names), std::end(commit_step_names));
    run.merge();
    CHECK(seen == all);
    seen.clear();
    run.store.write_unit(3, tables_of_cases(40, 44));
    CHECK(seen == all);
    seen.clear();
    write_scan(run.store, {{}, {}});
    CHECK(seen == all);
}
