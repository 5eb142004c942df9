// The lock of a run's folder: one live run at a time. RUN/lock names the attempt that holds it, is locked by flock(2)
// as long as that process lives, and its time is renewed every few seconds by a thread, which tells the living from the
// dead where a file system knows no locks or keeps them per host.
#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace moesweep {

class RunLock {
  public:
    /// Takes the lock, waiting up to `patience` for an attempt that may just be dying; creates the folder if need be. A
    /// stale one (its process is gone; on another host or without flock: its file not renewed for 30 s by the file
    /// system's own clock) is taken over. Error(locked) names the folder and the attempt, host, process and start of
    /// the run that holds it; Error(io).
    RunLock(const std::filesystem::path& folder, std::chrono::milliseconds patience);
    ~RunLock();  ///< lets go: the file stays, empty
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

    const std::string& attempt() const;  ///< 16 hexadecimal digits, drawn at random

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace moesweep
