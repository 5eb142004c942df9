#include "work_queue.h"

#include <algorithm>

namespace moesweep {

WorkQueue::WorkQueue(const std::vector<std::int64_t>& items, std::int64_t ranks, std::int64_t groups, std::int64_t most,
                     Clock::time_point deadline)
    : items_(items.begin(), items.end()),
      assignments_(static_cast<std::size_t>(ranks)),
      groups_(groups),
      most_(most),
      deadline_(deadline) {}

std::vector<std::int64_t> WorkQueue::assign(int leader, std::int64_t group_size, bool failed, Clock::time_point now) {
    Assignment& assignment = assignments_[static_cast<std::size_t>(leader)];
    if (assignment.items > 0 && !failed && !stopped_) {
        done_ += assignment.items;
        longest_ = std::max(longest_, now - assignment.since);
    }
    closed_ |= failed || stopped_ || (deadline_ != Clock::time_point::max() && now + longest_ > deadline_);
    const auto left = static_cast<std::int64_t>(items_.size());
    const std::int64_t fair = (left + groups_ - 1) / groups_;  // to all groups alike towards the end
    const std::int64_t n =
        closed_ ? 0 : std::min({left, most_ * group_size, std::max(fair, std::min(left, group_size))});
    assignment = {now, n};
    groups_ended_ += n == 0;
    const std::vector<std::int64_t> assigned(items_.begin(), items_.begin() + n);
    items_.erase(items_.begin(), items_.begin() + n);
    return assigned;
}

}  // namespace moesweep
