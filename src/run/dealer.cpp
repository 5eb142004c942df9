#include "dealer.h"

#include <algorithm>
#include <thread>

namespace moesweep {
namespace {

/// The first word of a message. request: the group's size, and whether it failed; assignment: its items.
enum Message : std::int64_t { request, assignment, stop_request };

}  // namespace

Dealer::Dealer(const Comm& world, const Comm& group, const std::vector<std::int64_t>& items, std::int64_t most,
               Clock::time_point deadline)
    : world_(world), group_(group), deadline_(deadline) {
    const auto leaders = world.gather_all(std::vector<double>{group.root() ? 1.0 : 0.0});
    if (world.root()) queue_.emplace(items, world.size(), std::ranges::count(leaders, 1.0), most, deadline);
}

std::optional<std::vector<std::int64_t>> Dealer::next(bool failed) {
    failed = group_.any(failed);
    const auto items = group_.broadcast(group_.root() ? ask(failed) : std::vector<std::int64_t>{});
    if (items.empty()) return std::nullopt;
    const auto n = static_cast<std::ptrdiff_t>(items.size()), ranks = std::ptrdiff_t{group_.size()};
    busiest_ = (n + ranks - 1) / ranks;
    return std::vector(items.begin() + n * group_.rank() / ranks, items.begin() + n * (group_.rank() + 1) / ranks);
}

std::vector<std::int64_t> Dealer::ask(bool failed) {
    answer_.reset();
    if (queue_)
        answer_ = queue_->assign(0, group_.size(), failed, Clock::now());
    else
        world_.post(0, {request, group_.size(), failed});
    const Comm::Waiting waiting("the unit queue");
    // Rank 0 stays until every group knows that there is nothing more.
    while (!answer_ || (queue_ && answer_->empty() && !queue_->every_group_ended())) {
        serve(false);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return *answer_;
}

void Dealer::serve(bool stop) {
    while (auto message = world_.read_message()) {
        auto& words = message->words;
        if (words[0] == request) {
            auto answer = queue_->assign(message->from, words[1], words[2] != 0, Clock::now());
            answer.insert(answer.begin(), assignment);
            world_.post(message->from, std::move(answer));
        } else if (words[0] == assignment) {
            answer_.emplace(words.begin() + 1, words.end());
        } else if (world_.root()) {
            stop_everyone();
        } else {
            stopping_ = true;
        }
    }
    if (world_.root() && Clock::now() > deadline_) stop = true;
    if (!stop || stopping_) return;
    if (world_.root())
        stop_everyone();
    else
        world_.post(0, {stop_request});
    stopping_ = true;
}

void Dealer::stop_everyone() {
    if (stopping_) return;
    stopping_ = true;
    queue_->stop();
    for (int rank = 1; rank < world_.size(); ++rank) world_.post(rank, {stop_request});
}

}  // namespace moesweep
