// The merged file when its disk fails, and what is refused of a damaged one.
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "store_run.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

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
    const std::string part =
        GENERATE("base", "controls", "conditions", "conditions/01", "conditions/02/rows", "cases/relaxed_split");
    edit(run.store.sweep_path(), [&](hid_t file) { CHECK(H5Ldelete(file, part.c_str(), H5P_DEFAULT) >= 0); });
    const Failure failure = failure_of([&] { read_sweep(run.store.sweep_path()); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Contains("sweep.h5: " + part + ": cannot be opened"));
}

TEST_CASE("an attribute of another type is refused") {
    const Scratch scratch;
    const Run run(scratch / "run", 16);
    run.merge();
    edit(run.store.sweep_path(), [](hid_t file) {
        CHECK(H5Adelete_by_name(file, "conditions/01", "scale", H5P_DEFAULT) >= 0);
        CHECK(H5Arename_by_name(file, "conditions/01", "draw", "scale", H5P_DEFAULT) >= 0);
    });
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
