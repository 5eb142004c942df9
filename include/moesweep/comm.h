// The ranks of a run. Nobody else includes mpi.h. Without mpirun there is one rank and every call is a copy.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "moesweep/error.h"

namespace moesweep {

/// An Error that every rank throws alike: nobody needs to be ended by force.
class SharedError : public Error {
    using Error::Error;
};

class Comm {
  public:
    /// Starts MPI; one Comm lives at a time, and its destructor ends MPI.
    Comm();
    ~Comm();
    Comm(const Comm&) = delete;
    Comm& operator=(const Comm&) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }
    bool root() const { return rank_ == 0; }

    /// Runs `step`, which must not communicate, on every rank; if it throws anywhere, every rank throws the error of
    /// the lowest rank that failed as a SharedError, so that all leave by the same door and one of them speaks.
    void together(const std::function<void()>& step) const;

    /// Root's text, everywhere.
    std::string broadcast(const std::string& text) const;
    /// All ranks' texts in rank order.
    std::vector<std::string> gather_all(const std::string& text) const;
    /// All ranks' values in rank order; counts may differ.
    std::vector<double> gather_all(std::span<const double> values) const;
    /// True if it is true on any rank.
    bool any(bool mine) const;
    /// Waits for all.
    void barrier() const;

    /// Ends all ranks at once with this exit code, for an Error in work that the others do not share.
    [[noreturn]] void abort(Exit code) const;

  private:
    int rank_ = 0, size_ = 1;
};

}  // namespace moesweep
