// The merged file when its disk fails.
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
        mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1200k") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    }
    bool mounted() const { return mounted_; }
    void set_read_only(bool read_only) const {
        const unsigned long flags = MS_REMOUNT | (read_only ? static_cast<unsigned long>(MS_RDONLY) : 0);
        REQUIRE(::mount(nullptr, folder_.c_str(), nullptr, flags, "size=1200k") == 0);
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
    const std::string complete = read_file(run.path());
    fs::remove(run.path());
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
    CHECK(read_file(run.path()) == complete);
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
    const std::vector<std::string> in_units = entries(run.store.folder() / "units");
    const auto expect_io = [&](const Failure& failure, const std::string& file, const std::string& reason) {
        CHECK(failure.code == Exit::io);
        CHECK_THAT(failure.message, Contains(file + ": ") && Contains(reason));
        CHECK(entries(run.store.folder()) == std::vector<std::string>{"config.ini", "identity.ini", "units"});
        CHECK(entries(run.store.folder() / "units") == in_units);
    };
    disk.fill();
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "No space left on device");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "No space left on device");
    expect_io(failure_of([&] { write_scan(run.store, {run.cases, {}}); }), "cases.h5", "No space left on device");
    disk.empty();
    disk.set_read_only(true);
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "Read-only file system");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "Read-only file system");
    expect_io(failure_of([&] { run.store.open(to_ini(some_config(37)), some_identity(some_config(37))); }), "run",
              "Read-only file system");
    disk.set_read_only(false);

    // some blocks are free, but not enough
    for (const char* name : {"a", "b", "c"}) std::ofstream(scratch / "disk" / name) << std::string(4096, 'x');
    disk.fill();
    for (const char* name : {"a", "b", "c"}) fs::remove(scratch / "disk" / name);
    expect_io(failure_of([&] { run.merge(); }), "sweep.h5", "No space left on device");
    expect_io(failure_of([&] { run.store.write_unit(1, unit); }), "000001.h5", "No space left on device");
    disk.empty();
    run.merge();
    CHECK(read_merged(run.path()) == tables_of_cases(0, 37));
}
