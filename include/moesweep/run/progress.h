// Progress of a run on rank 0: a bar on a terminal, a plain line every few seconds otherwise. Other ranks are silent.
// With run.log every rank also keeps a log of its own.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace moesweep {

class Progress {
  public:
    /// `visible` on rank 0; `seconds` between lines.
    Progress(bool visible, double seconds);
    /// Opens RUN/log/rank-N.log. Error(io).
    void log_to(const std::filesystem::path& folder, int rank);

    /// A line for everyone to read, at once.
    void say(const std::string& line);
    /// A line for the log alone.
    void note(const std::string& line);

    /// Begins a phase of `total` things called `what` ("units"), of which `done` are done.
    void begin(const std::string& what, std::int64_t done, std::int64_t total);
    /// `done` things done in all and a part of the next one in [0, 1]; `rows` more row-layers computed by this rank.
    void update(std::int64_t done, double part, std::int64_t rows);
    /// Ends the phase with its last line.
    void end();

  private:
    using Clock = std::chrono::steady_clock;
    void show(bool last);

    bool visible_, terminal_;
    double seconds_;
    std::ofstream log_;
    std::string what_;
    std::int64_t done_ = 0, first_ = 0, total_ = 0, rows_ = 0;
    double part_ = 0;
    Clock::time_point start_, shown_;
};

}  // namespace moesweep
