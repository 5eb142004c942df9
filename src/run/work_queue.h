// The items that are still to do, as rank 0 keeps them: which group gets how many, and when nothing is assigned any
// more. It sends nothing and asks no clock, so that a simulation can run it with a thousand groups
// (bench/dealer_scale.cpp).
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

namespace moesweep {

class WorkQueue {
  public:
    using Clock = std::chrono::steady_clock;

    /// For `groups` groups, each led by one of `ranks` ranks. A rank of a group takes at most `most` items at a time.
    WorkQueue(const std::vector<std::int64_t>& items, std::int64_t ranks, std::int64_t groups, std::int64_t most,
              Clock::time_point deadline);

    /// What a group gets at `now`, having finished what it got before: nothing when the list is at its end, after
    /// stop() or a failure, or when the longest assignment so far would end past the deadline. A group that got nothing
    /// does not ask again. `failed` says that it could not do its part, which then does not count as done.
    std::vector<std::int64_t> assign(int leader, std::int64_t group_size, bool failed, Clock::time_point now);
    /// Assigns nothing any more; what groups are at does not count as done.
    void stop() { stopped_ = true; }

    std::int64_t done() const { return done_; }  ///< items of groups that came back for more
    bool every_group_ended() const { return groups_ended_ == groups_; }

  private:
    struct Assignment {
        Clock::time_point since;
        std::int64_t items = 0;
    };
    std::deque<std::int64_t> items_;
    std::vector<Assignment> assignments_;  // by leader's rank
    std::int64_t groups_, most_, done_ = 0, groups_ended_ = 0;
    Clock::time_point deadline_;
    Clock::duration longest_{0};
    bool stopped_ = false, closed_ = false;
};

}  // namespace moesweep
