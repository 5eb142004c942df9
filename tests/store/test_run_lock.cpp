// The lock of a run's folder, held and sought by real processes.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "moesweep/store/run_lock.h"
#include "store/lock_entry.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

int flock_error = 0;  // what flock(2) reports in this process, 0 = what the system says

constexpr milliseconds at_once{0}, patient{60'000};

/// Another process that takes the lock and holds it until it is told to go, or killed.
class Holder {
  public:
    explicit Holder(const fs::path& folder) {
        int taken[2], go[2];
        REQUIRE((::pipe(taken) == 0 && ::pipe(go) == 0));
        process_ = ::fork();
        REQUIRE(process_ >= 0);
        if (process_ == 0) {
            ::close(go[1]);
            hold(folder, taken[1], go[0]);
        }
        ::close(taken[1]);
        ::close(go[0]);
        go_ = go[1];
        char attempt[16];
        REQUIRE(::read(taken[0], attempt, 16) == 16);
        ::close(taken[0]);
        attempt_.assign(attempt, 16);
    }
    ~Holder() { end(SIGKILL); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    pid_t process() const { return process_; }
    const std::string& attempt() const { return attempt_; }
    void kill() { end(SIGKILL); }
    void release() { end(0); }

  private:
    [[noreturn]] static void hold(const fs::path& folder, int taken, int go) {
        try {
            const RunLock lock(folder, at_once);
            char byte;
            if (::write(taken, lock.attempt().data(), 16) == 16) static_cast<void>(::read(go, &byte, 1) + 1);
        } catch (const std::exception&) {  // the parent's read fails
        }
        ::_exit(0);
    }
    void end(int signal) {
        if (process_ == 0) return;
        if (signal != 0) ::kill(process_, signal);
        ::close(go_);
        ::waitpid(process_, nullptr, 0);
        process_ = 0;
    }

    pid_t process_ = 0;
    int go_ = -1;
    std::string attempt_;
};

/// A program without flock(2) while this lives; processes forked meanwhile have none either.
class WithoutFlock {
  public:
    WithoutFlock() { flock_error = ENOLCK; }
    ~WithoutFlock() { flock_error = 0; }
};

/// An entry, last renewed so long ago.
void plant(const fs::path& folder, const LockEntry& entry, seconds ago) {
    fs::create_directories(folder);
    std::ofstream(folder / "lock") << to_text(entry);
    const timespec past[2] = {{::time(nullptr) - ago.count(), 0}, {::time(nullptr) - ago.count(), 0}};
    REQUIRE(::utimensat(AT_FDCWD, (folder / "lock").c_str(), past, 0) == 0);
}

LockEntry elsewhere() {
    return {"00000000000000aa", "n7", "another boot pid:[1]", 4711, "2026-01-02T03:04:05Z"};
}

std::string held_by(const fs::path& folder) {
    const auto entry = parse_lock_entry(read_file(folder / "lock"));
    return entry ? entry->attempt : "nobody";
}

}  // namespace

/// Stands in front of the system's flock(2) in this program.
extern "C" int flock_or_none(int descriptor, int operation) noexcept __asm__("flock");
extern "C" int flock_or_none(int descriptor, int operation) noexcept {
    if (flock_error == 0) return static_cast<int>(::syscall(SYS_flock, descriptor, operation));
    errno = flock_error;
    return -1;
}

TEST_CASE("a live run is refused, by name, and a released one leaves an empty file") {
    const Scratch scratch;
    const fs::path folder = scratch / "deep" / "run";
    Holder holder(folder);
    CHECK(held_by(folder) == holder.attempt());
    const Failure failure = failure_of([&] { RunLock(folder, at_once); });
    CHECK(failure.code == Exit::locked);
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    CHECK_THAT(failure.message,
               StartsWith(fmt::format("{}: another run holds this folder: attempt {}, host {}, process {}, started 2",
                                      folder.string(), holder.attempt(), host, holder.process())));
    CHECK(held_by(folder) == holder.attempt());
    holder.release();
    CHECK(fs::file_size(folder / "lock") == 0);

    const RunLock mine(folder, at_once);
    CHECK(mine.attempt() != holder.attempt());
    CHECK(mine.attempt().find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(held_by(folder) == mine.attempt());
    CHECK(failure_of([&] { RunLock(folder, at_once); }).code == Exit::locked);  // not even by this process
}

TEST_CASE("a killed run is taken over at once") {
    const Scratch scratch;
    Holder holder(scratch / "run");
    holder.kill();
    CHECK(held_by(scratch / "run") == holder.attempt());
    const RunLock mine(scratch / "run", at_once);
    CHECK(held_by(scratch / "run") == mine.attempt());
}

TEST_CASE("patience outlasts a run that is dying") {
    const Scratch scratch;
    Holder holder(scratch / "run");
    const pid_t killer = ::fork();
    if (killer == 0) {
        ::usleep(200'000);
        ::kill(holder.process(), SIGKILL);
        ::_exit(0);
    }
    const RunLock mine(scratch / "run", patient);
    CHECK(held_by(scratch / "run") == mine.attempt());
    ::waitpid(killer, nullptr, 0);
}

TEST_CASE("of many that want it at once one has it") {
    const bool without = GENERATE(false, true);
    const Scratch scratch;
    fs::create_directory(scratch / "run");
    std::vector<pid_t> children;
    const auto child = [&](int number) {
        int code = 2;
        if (without) flock_error = ENOLCK;
        try {
            const RunLock lock(scratch / "run", at_once);
            code = held_by(scratch / "run") == lock.attempt() ? 0 : 3;
            std::ofstream(scratch / ("taken." + std::to_string(number))) << "";
            while (!fs::exists(scratch / "end")) ::usleep(1000);
        } catch (const Error& error) {
            code = error.code() == Exit::locked ? 1 : 4;
        }
        ::_exit(code);
    };
    for (int number = 0; number < 8; ++number) {
        children.push_back(::fork());
        if (children.back() == 0) child(number);
    }
    std::vector<int> codes;
    for (std::size_t ended = 0; ended + 1 < children.size(); ++ended) {  // all but the one that has it
        int status = 0;
        ::waitpid(-1, &status, 0);
        codes.push_back(WEXITSTATUS(status));
    }
    CHECK(codes == std::vector<int>(7, 1));
    std::ofstream(scratch / "end") << "";
    int status = -1;
    ::waitpid(-1, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("on another host a fresh entry holds and an old one does not") {
    const bool without = GENERATE(false, true);
    if (without) flock_error = ENOLCK;
    const Scratch scratch;
    const fs::path folder = scratch / "run";
    plant(folder, elsewhere(), seconds{25});
    const Failure failure = failure_of([&] { RunLock(folder, at_once); });
    CHECK(failure.code == Exit::locked);
    CHECK_THAT(failure.message,
               EndsWith("attempt 00000000000000aa, host n7, process 4711, started 2026-01-02T03:04:05Z"));
    CHECK(held_by(folder) == "00000000000000aa");
    CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);  // no probe is left

    plant(folder, elsewhere(), seconds{31});
    {
        const RunLock mine(folder, at_once);
        CHECK(held_by(folder) == mine.attempt());
        const auto age = fs::file_time_type::clock::now() - fs::last_write_time(folder / "lock");
        CHECK(age < stale_age);
    }
    CHECK(held_by(folder) == "nobody");
    flock_error = 0;
}

TEST_CASE("without flock a process of this machine is looked for") {
    const Scratch scratch;
    const fs::path folder = scratch / "run";
    const WithoutFlock here;
    Holder holder(folder);
    CHECK(failure_of([&] { RunLock(folder, at_once); }).code == Exit::locked);
    holder.kill();
    {
        const RunLock mine(folder, at_once);
        CHECK(held_by(folder) == mine.attempt());
    }
    CHECK(held_by(folder) == "nobody");
}

TEST_CASE("a run that was taken over lets the new holder's entry stand") {
    const Scratch scratch;
    {
        const RunLock mine(scratch / "run", at_once);
        std::ofstream(scratch / "run" / "lock") << to_text(elsewhere());
    }
    CHECK(held_by(scratch / "run") == "00000000000000aa");
}

TEST_CASE("an entry that says nothing holds until it is old") {
    const Scratch scratch;
    plant(scratch / "run", {}, seconds{0});
    std::ofstream(scratch / "run" / "lock") << "\x01garbage";
    const Failure failure = failure_of([&] { RunLock(scratch / "run", at_once); });
    CHECK(failure.code == Exit::locked);
    CHECK_THAT(failure.message, EndsWith("attempt unknown, host unknown, process unknown, started unknown"));
    plant(scratch / "run", {}, seconds{31});
    CHECK_NOTHROW(RunLock(scratch / "run", at_once));
}

TEST_CASE("a folder that cannot be written is an I/O error") {
    const Scratch scratch;
    std::ofstream(scratch / "file") << "";
    const Failure failure = failure_of([&] { RunLock(scratch / "file", at_once); });
    CHECK(failure.code == Exit::io);
    fs::create_directories(scratch / "run" / "lock");
    const Failure folder = failure_of([&] { RunLock(scratch / "run", at_once); });
    CHECK(folder.code == Exit::io);
    CHECK(folder.message == (scratch / "run" / "lock").string() + ": cannot be opened: Is a directory");
}

TEST_CASE("who holds a folder is decided by flock, machine, process and age") {
    const auto held = [](Flock flock, bool same_machine, bool process_gone, int age) {
        return is_held({flock, same_machine, process_gone, seconds{age}});
    };
    for (const int age : {0, 29, 30, 1000})  // a refused lock has a live holder, whatever else
        for (const bool same : {false, true}) CHECK(held(Flock::refused, same, same, age));
    for (const int age : {0, 29, 30, 1000}) CHECK_FALSE(held(Flock::taken, true, false, age));  // the kernel knows
    for (const Flock flock : {Flock::taken, Flock::unsupported}) {                              // only time tells
        CHECK(held(flock, false, false, 0));
        CHECK(held(flock, false, false, 29));
        CHECK(held(flock, false, false, -5));
        CHECK_FALSE(held(flock, false, false, 30));
        CHECK_FALSE(held(flock, false, false, -1000));
    }
    CHECK_FALSE(held(Flock::unsupported, true, true, 0));
    CHECK(held(Flock::unsupported, true, false, 29));
    CHECK_FALSE(held(Flock::unsupported, true, false, 30));
}

TEST_CASE("an entry reads back, and its signs are of the machine") {
    const LockEntry self = own_entry();
    const auto read = parse_lock_entry(to_text(self));
    REQUIRE(read);
    CHECK(read->attempt == self.attempt);
    CHECK(read->host == self.host);
    CHECK(read->machine == self.machine);
    CHECK(read->process == ::getpid());
    CHECK(read->started == self.started);
    CHECK_FALSE(parse_lock_entry(""));

    CHECK(signs_of(self, self).same_machine);
    CHECK_FALSE(signs_of(self, self).process_gone);
    LockEntry other = self;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    other.process = child;
    CHECK(signs_of(other, self).process_gone);
    other.machine += "0";
    CHECK_FALSE(signs_of(other, self).same_machine);
    CHECK_FALSE(signs_of(other, self).process_gone);  // its number means nothing here
    other.machine.clear();
    LockEntry nowhere = self;
    nowhere.machine.clear();
    CHECK_FALSE(signs_of(other, nowhere).same_machine);
}
