#include "moesweep/store/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "lock_entry.h"
#include "moesweep/base/error.h"
#include "moesweep/base/files.h"
#include "moesweep/base/signals.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds between_tries{50};
constexpr milliseconds settling{500};  // longer than another attempt needs from reading the entry to writing its own

[[noreturn]] void fail_system(const fs::path& path, const char* what) {
    fail(Exit::io, "{}: {}: {}", path.string(), what, std::generic_category().message(errno));
}

/// RUN/lock, open; closing it gives back its flock.
class LockFile {
  public:
    explicit LockFile(fs::path path) : path_(std::move(path)) {
        do descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        while (descriptor_ < 0 && errno == EINTR);
        if (descriptor_ < 0) fail_system(path_, "cannot be opened");
    }
    ~LockFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    LockFile(LockFile&& other) noexcept
        : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
    LockFile& operator=(LockFile&&) = delete;

    Flock lock() const {
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return Flock::taken;
        return errno == EWOULDBLOCK || errno == EINTR ? Flock::refused : Flock::unsupported;
    }

    std::optional<LockEntry> entry() const {
        std::array<char, 4096> text;
        const ssize_t n = ::pread(descriptor_, text.data(), text.size(), 0);
        if (n < 0) fail_system(path_, "cannot be read");
        return parse_lock_entry({text.data(), static_cast<std::size_t>(n)});
    }

    /// Over what is there, and only then cut to size: nobody finds the file empty meanwhile.
    void write(const LockEntry& entry) const {
        const std::string text = to_text(entry);
        const ssize_t n = ::pwrite(descriptor_, text.data(), text.size(), 0);
        if (n >= 0 && static_cast<std::size_t>(n) < text.size()) errno = ENOSPC;
        if (n != static_cast<ssize_t>(text.size()) || ::ftruncate(descriptor_, n) != 0 || ::fsync(descriptor_) != 0)
            fail_system(path_, "cannot be written");
    }

    void empty() const noexcept {
        if (::ftruncate(descriptor_, 0) != 0) return;  // the next attempt finds an entry without a process
    }
    void renew() const noexcept { ::futimens(descriptor_, nullptr); }

    /// Since the entry was written or renewed. A file made now tells the time by the same clock.
    milliseconds age() const {
        const fs::path now = temporary_beside(path_);
        const int probe = ::open(now.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (probe < 0) fail_system(path_, "its time cannot be told");
        struct stat ours {
        }, theirs{};
        const bool known = ::fstat(probe, &ours) == 0 && ::fstat(descriptor_, &theirs) == 0;
        ::close(probe);
        ::unlink(now.c_str());
        if (!known) fail_system(path_, "cannot be examined");
        return std::chrono::seconds(ours.st_mtim.tv_sec - theirs.st_mtim.tv_sec) +
               milliseconds((ours.st_mtim.tv_nsec - theirs.st_mtim.tv_nsec) / 1'000'000);
    }

  private:
    fs::path path_;
    int descriptor_ = -1;
};

/// Either the lock or who holds it.
struct Try {
    std::optional<LockFile> taken;
    LockEntry holder;
};

/// The file is opened anew in every try, for that is when NFS asks the server.
Try try_to_take(const fs::path& path, const LockEntry& self) {
    LockFile file(path);
    const Flock flock = file.lock();
    const std::optional<LockEntry> holder = file.entry();
    if (flock == Flock::refused) return {std::nullopt, holder.value_or(LockEntry{})};
    if (holder) {
        HolderSigns signs = signs_of(*holder, self);
        signs.flock = flock;
        signs.age = file.age();
        if (is_held(signs)) return {std::nullopt, *holder};
    }
    file.write(self);
    if (flock == Flock::taken) return {std::move(file), {}};

    std::this_thread::sleep_for(settling);  // without locks the last of those who wrote at once has it
    const std::optional<LockEntry> last = LockFile(path).entry();
    if (!last || last->attempt != self.attempt) return {std::nullopt, last.value_or(LockEntry{})};
    return {std::move(file), {}};
}

[[noreturn]] void refuse(const fs::path& folder, const LockEntry& holder) {
    const auto known = [](const std::string& text) { return text.empty() ? std::string_view("unknown") : text; };
    fail(Exit::locked, "{}: another run holds this folder: attempt {}, host {}, process {}, started {}",
         folder.string(), known(holder.attempt), known(holder.host),
         known(holder.process > 0 ? std::to_string(holder.process) : ""), known(holder.started));
}

}  // namespace

struct RunLock::State {
    LockEntry self;
    LockFile file;
    std::jthread renewal;  // last: it ends before the file is closed

    State(LockEntry entry, LockFile taken) : self(std::move(entry)), file(std::move(taken)) {
        const SignalsBlocked here;  // signals are for the thread that computes
        renewal = std::jthread([this](const std::stop_token& stop) {
            std::mutex mutex;
            std::condition_variable_any stopping;
            std::unique_lock lock(mutex);
            while (!stopping.wait_for(lock, stop, renewal_period, [&] { return stop.stop_requested(); })) file.renew();
        });
    }
};

RunLock::RunLock(const fs::path& folder, milliseconds patience) {
    make_writable_folder(folder);
    const LockEntry self = own_entry();
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        Try result = try_to_take(folder / "lock", self);
        if (result.taken) {
            state_ = std::make_unique<State>(self, std::move(*result.taken));
            return;
        }
        if (std::chrono::steady_clock::now() >= deadline) refuse(folder, result.holder);
        std::this_thread::sleep_for(between_tries);
    }
}

RunLock::~RunLock() {
    state_->renewal = {};  // joins
    try {
        const std::optional<LockEntry> now = state_->file.entry();
        if (now && now->attempt == state_->self.attempt) state_->file.empty();  // else it was taken over
    } catch (const Error&) {  // then it stays as if we had been killed
    }
}

const std::string& RunLock::attempt() const {
    return state_->self.attempt;
}

}  // namespace moesweep
