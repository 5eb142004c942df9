// Hands out a list of numbers (the units that are missing) to expert groups as each asks for more, so that a slow group
// takes fewer, and carries a request to stop to every rank. Rank 0 keeps the list and answers whenever it looks for
// messages, so serve() is called often. No group waits for another.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "moesweep/comm/comm.h"
#include "work_queue.h"

namespace moesweep {

class Dealer {
  public:
    using Clock = WorkQueue::Clock;

    /// Rank 0's `items` count. A rank takes up to `most` at a time. After `deadline` all stop; and no item is assigned
    /// that, going by the longest assignment so far, would not be done by then.
    Dealer(const Comm& world, const Comm& group, const std::vector<std::int64_t>& items, std::int64_t most,
           Clock::time_point deadline);

    /// This rank's next items: an empty list for some ranks of a group where few are left, nothing when the list is at
    /// its end or the run stops. Every rank of the group calls it when it has finished what it got before. `failed`
    /// says that it could not do its part: then no more is assigned, and the others finish what they have.
    std::optional<std::vector<std::int64_t>> next(bool failed);

    /// Reads messages, and on rank 0 answers them. `stop` asks all ranks to stop.
    void serve(bool stop);
    /// Whether all ranks should leave what they are at.
    bool stopping() const { return stopping_; }

    /// Items that rank 0 knows to be done.
    std::int64_t done() const { return queue_ ? queue_->done() : 0; }
    std::int64_t busiest() const { return busiest_; }  ///< items of the rank of this group that got most

  private:
    std::vector<std::int64_t> ask(bool failed);
    void stop_everyone();

    const Comm& world_;
    const Comm& group_;
    Clock::time_point deadline_;
    bool stopping_ = false;
    std::int64_t busiest_ = 0;
    std::optional<std::vector<std::int64_t>> answer_;  // to what this leader asked
    std::optional<WorkQueue> queue_;                   // on rank 0
};

}  // namespace moesweep
