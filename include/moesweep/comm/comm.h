// Ranks that work together: all of a run, those of a node, or an expert group. Nobody else includes mpi.h or nccl.h.
// Tensors travel in rows: by MPI where they are on the CPU, by NCCL where each rank has a GPU of its own, through the
// host and MPI where ranks share one. The call has one shape: it is started, other work is done, and wait() gives what
// arrived (MPI moves it on whenever it is called meanwhile, if only to look for letters). Without mpirun there is one
// rank and every call is a copy.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moesweep/base/error.h"

namespace moesweep {

/// An Error that every rank throws alike: nobody needs to be ended by force.
class SharedError : public Error {
    using Error::Error;
};

/// Rows on their way between the ranks. Holds what is sent and what arrives; does not outlive its Comm.
class RowExchange {
  public:
    struct State;
    RowExchange(RowExchange&&) noexcept;
    RowExchange& operator=(RowExchange&&) noexcept;
    ~RowExchange();

    /// What the ranks sent, in rank order: [sum of receive counts, ...]. Where a GPU's network brings them, the current
    /// stream waits for them rather than this thread. Error(internal) if that network has failed.
    at::Tensor wait();

  private:
    friend class Comm;
    explicit RowExchange(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

class Comm {
  public:
    /// Starts MPI; one such Comm lives at a time, outlives its parts, and its destructor ends MPI. SharedError(usage)
    /// in a task of several that srun started without PMI.
    Comm();
    /// Whether this is the first task of its Slurm step, or in none: who speaks where there is no Comm.
    static bool is_first_task();
    ~Comm();
    Comm(Comm&&) noexcept;
    /// One rank without MPI.
    static Comm alone();
    /// The ranks that give the same colour, ordered by `position`. Every rank calls it.
    Comm split(int colour, int position) const;
    /// The ranks that share this rank's memory.
    Comm node() const;

    int rank() const { return rank_; }
    int size() const { return size_; }
    bool root() const { return rank_ == 0; }

    /// Runs `step`, which must not communicate, on every rank; if it throws anywhere, every rank throws the error of
    /// the lowest rank that failed as a SharedError, so that all leave by the same door and one of them speaks.
    void together(const std::function<void()>& step) const;

    /// Root's text, everywhere.
    std::string broadcast(const std::string& text) const;
    std::vector<std::int64_t> broadcast(std::vector<std::int64_t> values) const;
    /// All ranks' texts in rank order.
    std::vector<std::string> gather_all(const std::string& text) const;
    /// All ranks' values in rank order; counts may differ.
    std::vector<double> gather_all(std::span<const double> values) const;
    /// True if it is true on any rank.
    bool any(bool mine) const;
    /// Waits for all.
    void barrier() const;

    /// values holds size() parts of equal length, the r-th for rank r; returns the parts from all ranks, in rank order.
    std::vector<std::int64_t> all_to_all(std::span<const std::int64_t> values) const;
    /// Sends rows [sum of send counts, ...], those for rank 0 first, and receives as many from each rank as it sends
    /// here. They are on the CPU of all ranks or on the GPUs of all, always the same GPU of a rank; the first time, the
    /// GPUs' network is set up.
    RowExchange exchange(const at::Tensor& rows, std::span<const std::int64_t> send_counts,
                         std::span<const std::int64_t> receive_counts) const;

    /// A few words from any rank to any other, beside the calls above: sent at once, read when the other looks.
    struct Letter {
        int from = 0;
        std::vector<std::int64_t> words;
    };
    void post(int to, std::vector<std::int64_t> words) const;
    std::optional<Letter> read_letter() const;

    /// Memory that the ranks of a node() share, zeroed: `bytes` of each rank, in rank order. Every rank calls it, once.
    std::span<std::byte> share_memory(std::size_t bytes) const;

    /// What this process waits for others in, or nullptr. Any thread may ask. Calls that wait say so themselves.
    static const char* waiting_in();
    class Waiting {
      public:
        explicit Waiting(const char* what);
        ~Waiting();
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
    };

    /// What has gone wrong in the GPUs' networks while nobody called them. Any thread may ask.
    static std::optional<std::string> failure();

    /// Ends all ranks at once with this exit code, for an Error in work that the others do not share. Any thread may
    /// call it, and the first decides.
    [[noreturn]] void abort(Exit code) const;
    /// Does not return once another thread has called abort(). That breaks off what GPUs receive, so ask it before any
    /// numbers are kept.
    static void stay_if_ending();

  private:
    struct Handle;
    Comm(std::unique_ptr<Handle> handle, int rank, int size);
    std::unique_ptr<Handle> handle_;  // none: alone
    int rank_ = 0, size_ = 1;
    mutable std::vector<std::byte> own_memory_;  // of share_memory() where there is nobody to share it with
};

}  // namespace moesweep
