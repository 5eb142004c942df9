// Hands out a list of numbers (the units that are missing) to expert groups as each asks for more, so that a slow group takes
// fewer, and carries a wish to stop to every rank. Rank 0 keeps the list; it answers whenever it comes by, so serve() is
// called often. Groups ask by letters: nobody waits for another group.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "moesweep/comm/comm.h"

namespace moesweep {

class Dealer {
  public:
    using Clock = std::chrono::steady_clock;

    /// `items` count on rank 0. A rank takes up to `most` at a time. After `deadline` all stop; and nothing is handed out
    /// any more that, by the longest time a hand took so far, would not be done by then.
    Dealer(const Comm& world, const Comm& group, std::vector<std::int64_t> items, std::int64_t most,
           Clock::time_point deadline);

    /// This rank's next items: none for some ranks of a group where few are left. Nothing when the list is at its end, or
    /// when the run stops. Every rank of the group calls it when it is through with the hand before; `failed` says that it
    /// could not do its part: then nothing is handed out any more, and the others finish what they have.
    std::optional<std::vector<std::int64_t>> next(bool failed);

    /// Reads letters, and on rank 0 answers them. `wish` is this rank's own wish to stop.
    void serve(bool wish);
    /// Whether all shall leave what they are at.
    bool stopping() const { return stopping_; }

    std::int64_t done() const { return done_; }        ///< items that rank 0 knows to be done
    std::int64_t busiest() const { return busiest_; }  ///< items of the rank of this group that got most

  private:
    struct Hand {
        Clock::time_point given;
        std::int64_t items = 0;
    };
    std::vector<std::int64_t> ask(bool failed);
    /// On rank 0: what the leader `rank` gets now.
    std::vector<std::int64_t> deal(int rank, std::int64_t group_size, bool failed);
    void stop_everyone();

    const Comm& world_;
    const Comm& group_;
    std::int64_t most_;
    Clock::time_point deadline_;
    bool stopping_ = false;
    std::int64_t busiest_ = 0;
    std::optional<std::vector<std::int64_t>> answer_;  // to this leader's question

    // Rank 0 alone:
    std::deque<std::int64_t> items_;
    std::vector<Hand> hands_;  // by leader's rank
    std::int64_t done_ = 0, groups_ = 1, groups_ended_ = 0;
    bool closed_ = false;  // nothing is handed out any more
    Clock::duration longest_{0};
};

}  // namespace moesweep
