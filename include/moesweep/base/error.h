// One exception type carries a one-line message and the exit code from where an error is found to main.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace moesweep {

/// Exit codes of every command (sysexits.h where it has a number).
enum class Exit : int {
    done = 0,
    usage = 64,      ///< command line or configuration
    data = 65,       ///< a bad model, tokenizer, facts or run file
    locked = 69,     ///< another live run holds the run folder
    internal = 70,   ///< a bug: the program broke a promise of its own
    stuck = 71,      ///< the watchdog ended a run without progress
    io = 74,         ///< reading or writing failed
    stopped = 75,    ///< stopped on request; the same command goes on
    other_run = 78,  ///< the run folder belongs to another configuration
};

class Error : public std::runtime_error {
  public:
    Error(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
    Exit code() const { return code_; }

  private:
    Exit code_;
};

/// Throws Error. The message is one line "file: field: what is wrong, expected and actual".
template <class... Args>
[[noreturn]] void fail(Exit code, fmt::format_string<Args...> format, Args&&... args) {
    throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace moesweep
