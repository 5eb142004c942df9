// Ranks that work together: all of a run, those of a node, or an expert group. Nobody else includes mpi.h or nccl.h.
// Tensors travel in rows: by MPI if they are on the CPU, by NCCL if each rank has a GPU of its own, and through the
// host and MPI if ranks share a GPU. An exchange is started, other work is done, and wait() returns what arrived. (MPI
// makes progress only inside its calls; looking for messages is enough.) Without mpirun there is one rank, and every
// call is a copy.
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

/// An Error that every rank throws, so that no rank must be ended by force.
class SharedError : public Error {
    using Error::Error;
};

/// Rows under way between ranks. Owns what is sent and what arrives; must not outlive its Comm.
class RowExchange {
  public:
    struct State;
    RowExchange(RowExchange&&) noexcept;
    RowExchange& operator=(RowExchange&&) noexcept;
    ~RowExchange();

    /// The rows that the ranks sent, in rank order: [sum of receive counts, ...]. With NCCL the current stream waits
    /// for them, not this thread. Error(internal) if the network has failed.
    at::Tensor wait();

  private:
    friend class Comm;
    explicit RowExchange(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

class Comm {
  public:
    /// Starts MPI; the destructor ends it. There is one such Comm at a time, and it outlives those split from it.
    /// SharedError(usage) if srun started several tasks without PMI.
    Comm();
    /// Whether this is the first of the processes that a launcher started together, or alone: the one that speaks
    /// where there is no Comm.
    static bool is_first_task();
    ~Comm();
    Comm(Comm&&) noexcept;
    /// One rank without MPI.
    static Comm alone();
    /// The ranks that pass the same colour, ordered by `position`. Every rank calls it.
    Comm split(int colour, int position) const;
    /// The ranks on this node.
    Comm node() const;

    int rank() const { return rank_; }
    int size() const { return size_; }
    bool root() const { return rank_ == 0; }

    /// Runs `step`, which must not communicate, on every rank. If it throws on any, every rank throws the error of the
    /// lowest such rank as a SharedError, so that all end in the same way and one of them reports it.
    void together(const std::function<void()>& step) const;

    /// Root's text or values, on every rank.
    std::string broadcast(const std::string& text) const;
    std::vector<std::int64_t> broadcast(std::vector<std::int64_t> values) const;
    /// The texts of all ranks, in rank order.
    std::vector<std::string> gather_all(const std::string& text) const;
    /// The values of all ranks, in rank order; counts may differ.
    std::vector<double> gather_all(std::span<const double> values) const;
    /// Whether `mine` is true on any rank.
    bool any(bool mine) const;
    /// Waits until every rank has called it.
    void barrier() const;

    /// values holds size() parts of equal length, the r-th for rank r; returns the parts from all ranks, in rank order.
    std::vector<std::int64_t> all_to_all(std::span<const std::int64_t> values) const;
    /// Sends rows [sum of send counts, ...], those for rank 0 first, and receives from each rank what it sends here.
    /// The rows are on the CPU on all ranks, or on a GPU on all, always the same GPU of a rank. The first exchange
    /// between GPUs sets up their network.
    RowExchange exchange(const at::Tensor& rows, std::span<const std::int64_t> send_counts,
                         std::span<const std::int64_t> receive_counts) const;

    /// A few numbers from any rank to any other, independent of the calls above: sent at once, read when polled.
    struct Message {
        int from = 0;
        std::vector<std::int64_t> words;
    };
    void post(int to, std::vector<std::int64_t> words) const;
    std::optional<Message> read_message() const;

    /// Zeroed memory shared by the ranks of a node(): `bytes` for each, in rank order. Every rank calls it, once.
    std::span<std::byte> share_memory(std::size_t bytes) const;

    /// The name of the call in which this process waits for others, or nullptr. Any thread may ask.
    static const char* waiting_in();
    class Waiting {
      public:
        explicit Waiting(const char* what);
        ~Waiting();
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
    };

    /// An asynchronous error of the GPUs' networks. Any thread may ask.
    static std::optional<std::string> failure();

    /// Ends all ranks at once with this exit code, for an Error that the others cannot know of. Any thread may call it;
    /// the first decides.
    [[noreturn]] void abort(Exit code) const;
    /// Does not return if another thread has called abort(), which breaks off what GPUs receive: call it before keeping
    /// any numbers.
    static void stay_if_ending();

  private:
    struct Handle;
    Comm(std::unique_ptr<Handle> handle, int rank, int size);
    std::unique_ptr<Handle> handle_;  // null: one rank without MPI
    int rank_ = 0, size_ = 1;
    mutable std::vector<std::byte> own_memory_;  // of share_memory() without MPI
};

}  // namespace moesweep
