#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <utility>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

std::size_t entries(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// No file of this process may grow past `bytes` while this lives: a full disk that needs no root.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        old_handler_ = std::signal(SIGXFSZ, SIG_IGN);  // so that write(2) reports EFBIG
        REQUIRE(getrlimit(RLIMIT_FSIZE, &old_) == 0);
        rlimit now = old_;
        now.rlim_cur = bytes;
        REQUIRE(setrlimit(RLIMIT_FSIZE, &now) == 0);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }

  private:
    rlimit old_{};
    void (*old_handler_)(int) = nullptr;
};

std::string text_of(const InputFile& file, std::uint64_t offset, std::size_t bytes) {
    std::string text(bytes, '\0');
    file.read(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

}  // namespace

TEST_CASE("an atomic write replaces the content and leaves nothing else behind") {
    const Scratch scratch;
    const fs::path path = scratch / "a.bin";
    const std::string zeros_and_more("\0x\nLast", 7);
    write_file_atomically(path, std::string_view("first, and longer than the second"));
    write_file_atomically(path, zeros_and_more);
    CHECK(read_file(path) == zeros_and_more);
    CHECK(entries(scratch.folder()) == 1);
    write_file_atomically(path, std::string_view());
    CHECK(read_file(path).empty());
}

TEST_CASE("a write that fails half-way keeps the old content and names the file and the reason") {
    const Scratch scratch;
    const fs::path path = scratch / "units.h5";
    write_file_atomically(path, std::string_view("old"));
    const std::string large(1 << 20, 'x');
    Failure failure;
    {
        const FileSizeLimit limit(1 << 16);
        failure = failure_of([&] { write_file_atomically(path, large); });
    }
    CHECK(failure.code == Exit::io);
    CHECK(failure.message == path.string() + ": cannot be written: File too large");
    CHECK(read_file(path) == "old");
    CHECK(entries(scratch.folder()) == 1);
}

TEST_CASE("a write into a folder that is not there names the file") {
    const Scratch scratch;
    const fs::path path = scratch / "none" / "a";
    const Failure failure = failure_of([&] { write_file_atomically(path, std::string_view("x")); });
    CHECK(failure.code == Exit::io);
    CHECK(failure.message == path.string() + ": cannot be written: No such file or directory");
}

TEST_CASE("commit_file moves a finished file into place, or removes it") {
    const Scratch scratch;
    std::ofstream(scratch / "tmp") << "whole";
    commit_file(scratch / "tmp", scratch / "final");
    CHECK(read_file(scratch / "final") == "whole");
    CHECK(entries(scratch.folder()) == 1);

    std::ofstream(scratch / "tmp") << "whole";
    const Failure failure = failure_of([&] { commit_file(scratch / "tmp", scratch / "no" / "final"); });
    CHECK(failure.code == Exit::io);
    CHECK(failure.message ==
          (scratch / "no" / "final").string() + ": cannot be renamed into place: No such file or directory");
    CHECK(entries(scratch.folder()) == 1);

    CHECK(failure_of([&] { commit_file(scratch / "absent", scratch / "final"); }).code == Exit::io);
    CHECK(read_file(scratch / "final") == "whole");
}

TEST_CASE("reading says what is wrong with the file") {
    const Scratch scratch;
    const fs::path absent = scratch / "absent";
    for (const Failure& failure : {failure_of([&] { read_file(absent); }), failure_of([&] { InputFile file(absent); }),
                                   failure_of([&] { sha256_file(absent); })}) {
        CHECK(failure.code == Exit::data);
        CHECK(failure.message == absent.string() + ": no such file");
    }
    const Failure folder = failure_of([&] { read_file(scratch.folder()); });
    CHECK(folder.code == Exit::io);
    CHECK(folder.message == scratch.folder().string() + ": cannot be read: it is not a regular file");
    CHECK(failure_of([&] { InputFile file(scratch.folder()); }).code == Exit::io);
    CHECK(failure_of([&] { sha256_file(scratch.folder()); }).code == Exit::io);
}

TEST_CASE("a folder is made with its parents and must take files") {
    const Scratch scratch;
    make_writable_folder(scratch / "a" / "b");
    make_writable_folder(scratch / "a" / "b");
    CHECK(entries(scratch / "a" / "b") == 0);

    std::ofstream(scratch / "file") << "";
    const Failure below_file = failure_of([&] { make_writable_folder(scratch / "file" / "b"); });
    CHECK(below_file.code == Exit::io);
    CHECK(below_file.message == (scratch / "file" / "b").string() + ": cannot be created: Not a directory");
    CHECK(failure_of([&] { make_writable_folder(scratch / "file"); }).code == Exit::io);

    if (geteuid() == 0) {
        WARN("skipped for root: mode bits do not stop it");
        return;
    }
    fs::permissions(scratch / "a" / "b", fs::perms::owner_read | fs::perms::owner_exec);
    const Failure locked = failure_of([&] { make_writable_folder(scratch / "a" / "b"); });
    CHECK(locked.code == Exit::io);
    CHECK(locked.message == (scratch / "a" / "b").string() + ": cannot be written: Permission denied");
    fs::permissions(scratch / "a" / "b", fs::perms::owner_all);
}

TEST_CASE("SHA-256 equals the standard's vectors, whole or in pieces") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string million(1000000, 'a');
    CHECK(sha256(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    const Scratch scratch;
    const std::string pieces = million + million + million;  // more than one piece of the file
    write_file_atomically(scratch / "a", pieces);
    CHECK(sha256_file(scratch / "a") == sha256(pieces));
}

TEST_CASE("a file held open is read at any place and moves with its handle") {
    const Scratch scratch;
    write_file_atomically(scratch / "a", std::string_view("content"));
    InputFile file(scratch / "a");
    CHECK(file.size() == 7);
    CHECK(text_of(file, 0, 7) == "content");
    CHECK(text_of(file, 3, 2) == "te");
    CHECK(text_of(file, 7, 0).empty());
    file.read_ahead(0, 7);
    file.drop_cached(0, 7);
    const InputFile moved(std::move(file));
    CHECK(text_of(moved, 6, 1) == "t");
    CHECK(moved.path() == scratch / "a");
    write_file_atomically(scratch / "empty", std::string_view());
    CHECK(InputFile(scratch / "empty").size() == 0);
}

TEST_CASE("a read that the file or the system does not grant names the file") {
    const Scratch scratch;
    write_file_atomically(scratch / "a", std::string_view("content"));
    const InputFile file(scratch / "a");
    fs::resize_file(scratch / "a", 5);
    CHECK(text_of(file, 0, 5) == "conte");
    const Failure cut = failure_of([&] { text_of(file, 3, 4); });
    CHECK(cut.code == Exit::io);
    CHECK(cut.message ==
          (scratch / "a").string() + ": cannot be read: 4 bytes expected at byte 3, 2 got: it has been truncated");

    const InputFile memory("/proc/self/mem");  // no page lies at address 0: the kernel answers EIO
    const Failure refused = failure_of([&] { text_of(memory, 0, 1); });
    CHECK(refused.code == Exit::io);
    CHECK(refused.message == "/proc/self/mem: cannot be read: Input/output error");
}
