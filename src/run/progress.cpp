#include "moesweep/run/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

std::string duration(double seconds) {
    const auto s = static_cast<std::int64_t>(seconds);
    return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                    : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

double seconds_since(std::chrono::steady_clock::time_point t) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

/// mpirun hands its ranks a pseudo-terminal even where its own output is a file, but one without a size.
bool is_terminal() {
    winsize size{};
    return isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
}

/// Does not throw: a run is not lost because nobody can read how far it is. main asks at the end whether all was
/// written.
void put(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}  // namespace

Progress::Progress(bool visible, double seconds)
    : visible_(visible), terminal_(is_terminal()), seconds_(seconds), start_(Clock::now()), shown_(start_) {}

void Progress::log_to(const std::filesystem::path& folder, int rank) {
    make_writable_folder(folder);
    const auto path = folder / fmt::format("rank-{}.log", rank);
    log_.open(path, std::ios::app);
    if (!log_) fail(Exit::io, "{}: cannot be written", path.string());
}

void Progress::say(const std::string& line) {
    if (visible_) put(line + "\n");
    note(line);
}

void Progress::note(const std::string& line) {
    if (log_) log_ << line << std::endl;
}

void Progress::begin(const std::string& what, std::int64_t done, std::int64_t total) {
    what_ = what;
    done_ = first_ = done;
    total_ = total;
    rows_ = 0;
    part_ = 0;
    start_ = shown_ = Clock::now();
}

void Progress::update(std::int64_t done, double part, std::int64_t rows) {
    if (done != done_) note(fmt::format("{} {}/{}", what_, done, total_));
    done_ = done;
    part_ = part;
    rows_ += rows;
    if (visible_ && seconds_since(shown_) >= (terminal_ ? 0.2 : seconds_)) show(false);
}

void Progress::end() {
    part_ = 0;
    note(fmt::format("{} {}/{} in {:.2f} s", what_, done_, total_, seconds_since(start_)));
    if (visible_) show(true);
}

void Progress::show(bool last) {
    shown_ = Clock::now();
    const double elapsed = seconds_since(start_), total = static_cast<double>(std::max<std::int64_t>(total_, 1));
    const double now = static_cast<double>(done_) + part_, fresh = now - static_cast<double>(first_);
    const double left = fresh > 0 ? (total - now) * elapsed / fresh : 0;
    std::string line = fmt::format("{} {}/{}", what_, done_, total_);
    if (rows_ > 0)
        line += fmt::format("  {:.0f} row-layers/s on this rank", static_cast<double>(rows_) / std::max(elapsed, 1e-9));
    line += fmt::format("  elapsed {}", duration(elapsed));
    if (!last && fresh > 0) line += fmt::format("  left {}", duration(left));
    if (!terminal_) {
        put(line + "\n");
    } else {
        const auto filled = static_cast<std::size_t>(24 * std::clamp(now / total, 0.0, 1.0));
        put(fmt::format("\r[{}{}] {}\x1b[K{}", std::string(filled, '#'), std::string(24 - filled, '.'), line,
                        last ? "\n" : ""));
    }
}

}  // namespace moesweep
