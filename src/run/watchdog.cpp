#include "moesweep/run/watchdog.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

namespace moesweep {
namespace {

using Clock = std::chrono::steady_clock;  // one clock for all processes of a node

double now() {
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// What a rank shows to those on its node. A torn phase name would only be a misspelt word in a last message.
struct Entry {
    std::atomic<double> moved;   // when it last did; 0: not watched
    std::atomic<double> looked;  // when its own watchdog last did: not any more if the whole process is frozen
    std::atomic<bool> waiting;   // in MPI for others
    std::atomic<int> rank;
    std::atomic<bool> ending;  // of the first rank, for all: one of them has said why, and the others need not
    std::atomic<char> phase[52];
};
static_assert(std::atomic<double>::is_always_lock_free);

std::string phase_of(const Entry& entry) {
    std::string text;
    for (const auto& c : entry.phase) {
        if (c == '\0') break;
        text += c;
    }
    return text;
}

/// The work of the thread that made this, by the kernel's counters. Another thread asks.
class Work {
  public:
    Work() { ::pthread_getcpuclockid(::pthread_self(), &clock_); }

    /// Whether there is more of it than at the last time that there was more.
    bool grew() {
        const double seconds = computed();
        const std::string bytes = read_and_written();
        if (seconds - seconds_ < 0.001 && bytes == bytes_) return false;
        seconds_ = seconds;
        bytes_ = bytes;
        return true;
    }

  private:
    double computed() const {
        timespec time{};
        ::clock_gettime(clock_, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
    /// The first lines of its io file, or nothing where the kernel keeps none.
    std::string read_and_written() const {
        std::ifstream in(file_);
        std::string received, sent;
        std::getline(in, received);
        std::getline(in, sent);
        return received + sent;
    }

    clockid_t clock_ = CLOCK_PROCESS_CPUTIME_ID;
    std::string file_ = fmt::format("/proc/self/task/{}/io", ::gettid());
    double seconds_ = 0;
    std::string bytes_;
};

}  // namespace

struct Watchdog::State {
    const Comm& world;
    Comm node;
    double seconds;
    std::span<Entry> entries;
    Entry* own;
    std::atomic<Signs> signs = Signs::ticks;
    Work work;
    std::mutex mutex;
    std::condition_variable ending;
    bool ended = false;
    std::thread thread;

    State(const Comm& all, double limit) : world(all), node(all.node()), seconds(limit) {
        const auto memory = node.share_memory(sizeof(Entry));
        entries = {reinterpret_cast<Entry*>(memory.data()), static_cast<std::size_t>(node.size())};
        own = &entries[static_cast<std::size_t>(node.rank())];
        own->rank = world.rank();
    }

    /// Notes that the rank moves, if it is watched: nothing where the other thread ends the phase at this moment.
    void move() {
        double last = own->moved;
        if (last > 0) own->moved.compare_exchange_strong(last, now());
    }

    /// Not moved for longer than `limit`.
    static bool is_still(const Entry& entry, double limit) {
        const double moved = entry.moved;
        return moved > 0 && now() - moved > limit;
    }

    /// Its thread, which looks every second at least, has missed half a limit. Not a whole one: the rank may have stood
    /// still before it froze, so that its time is over sooner than that.
    bool is_frozen(const Entry& entry) const { return now() - entry.looked > seconds / 2; }

    std::optional<std::string> verdict() const {
        if (own->moved > 0)
            if (const auto failure = Comm::failure())
                return fmt::format("rank {}: {}, in phase '{}'; the run is ended", own->rank.load(), *failure,
                                   phase_of(*own));
        // Those who wait are given a little longer, for whoever keeps them waiting to be named, here or on another
        // node.
        const double grace = seconds + std::min(5.0, seconds / 2);
        const auto stuck = std::ranges::find_if(
            entries, [&](const Entry& e) { return is_still(e, seconds) && (!e.waiting || is_frozen(e)); });
        if (stuck == entries.end() && !is_still(*own, grace)) return std::nullopt;
        const Entry& entry = stuck == entries.end() ? *own : *stuck;
        const char* call = Comm::waiting_in();
        const std::string what = &entry == own && call ? fmt::format("waiting for other ranks in {}", call)
                                 : is_frozen(entry)    ? "its process does not run"
                                                       : "at work";
        return fmt::format("rank {}: no progress for {:.0f} s (run.watchdog) in phase '{}', {}; the run is ended",
                           entry.rank.load(), now() - entry.moved, phase_of(entry), what);
    }

    void watch() {
        const auto pause = std::chrono::duration<double>(std::clamp(seconds / 10, 0.01, 1.0));
        std::unique_lock lock(mutex);
        own->looked = now();
        while (!ending.wait_for(lock, pause, [&] { return ended; })) {
            const double before = own->looked.exchange(now());
            if (own->looked - before > seconds / 2) {
                move();  // a suspended job or machine that goes on: no rank could move
                continue;
            }
            own->waiting = Comm::waiting_in() != nullptr;
            if (signs == Signs::work && (own->waiting || work.grew())) move();
            if (const auto line = verdict()) {
                if (!entries.front().ending.exchange(true)) std::fprintf(stderr, "moesweep: %s\n", line->c_str());
                world.abort(Exit::stuck);
            }
        }
    }
};

Watchdog::Watchdog(const Comm& world, double seconds) : state_(std::make_unique<State>(world, seconds)) {
    if (seconds > 0) state_->thread = std::thread([state = state_.get()] { state->watch(); });
}

Watchdog::~Watchdog() {
    phase("");  // the others may still be watching
    {
        const std::lock_guard lock(state_->mutex);
        state_->ended = true;
    }
    state_->ending.notify_all();
    if (state_->thread.joinable()) state_->thread.join();
}

void Watchdog::phase(const std::string& name, Signs signs) {
    state_->signs = signs;
    auto& own = *state_->own;
    for (std::size_t i = 0; i < std::size(own.phase); ++i)
        own.phase[i] = i < name.size() && i + 1 < std::size(own.phase) ? name[i] : '\0';
    own.moved = name.empty() ? 0 : now();
}

void Watchdog::tick() {
    state_->move();
}

}  // namespace moesweep
