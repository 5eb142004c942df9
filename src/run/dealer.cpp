#include "dealer.h"

#include <algorithm>
#include <thread>

namespace moesweep {
namespace {

enum Word : std::int64_t { ask_word, items_word, stop_word };  // the first of a letter

}  // namespace

Dealer::Dealer(const Comm& world, const Comm& group, std::vector<std::int64_t> items, std::int64_t most,
               Clock::time_point deadline)
    : world_(world),
      group_(group),
      most_(most),
      deadline_(deadline),
      items_(items.begin(), items.end()),
      hands_(static_cast<std::size_t>(world.size())) {
    const auto leaders = world.gather_all(std::vector<double>{group.root() ? 1.0 : 0.0});
    groups_ = std::ranges::count(leaders, 1.0);
}

std::optional<std::vector<std::int64_t>> Dealer::next(bool failed) {
    failed = group_.any(failed);
    const std::vector<std::int64_t> hand = group_.broadcast(group_.root() ? ask(failed) : std::vector<std::int64_t>{});
    if (hand.empty()) return std::nullopt;
    const auto n = static_cast<std::ptrdiff_t>(hand.size()), ranks = std::ptrdiff_t{group_.size()};
    busiest_ = (n + ranks - 1) / ranks;
    return std::vector(hand.begin() + n * group_.rank() / ranks, hand.begin() + n * (group_.rank() + 1) / ranks);
}

std::vector<std::int64_t> Dealer::ask(bool failed) {
    answer_.reset();
    if (world_.root())
        answer_ = deal(0, group_.size(), failed);
    else
        world_.post(0, {ask_word, group_.size(), failed});
    const Comm::Waiting waiting("the unit queue");
    // Rank 0 stays until every group knows that there is nothing more.
    while (!answer_ || (world_.root() && answer_->empty() && groups_ended_ < groups_)) {
        serve(false);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return *answer_;
}

std::vector<std::int64_t> Dealer::deal(int rank, std::int64_t group_size, bool failed) {
    Hand& hand = hands_[static_cast<std::size_t>(rank)];
    if (hand.items > 0 && !failed && !stopping_) {
        done_ += hand.items;
        longest_ = std::max(longest_, Clock::now() - hand.given);
    }
    closed_ |= failed || stopping_ || (deadline_ != Clock::time_point::max() && Clock::now() + longest_ > deadline_);
    const auto left = static_cast<std::int64_t>(items_.size());
    const std::int64_t fair = (left + groups_ - 1) / groups_;  // to all groups alike towards the end
    const std::int64_t n =
        closed_ ? 0 : std::min({left, most_ * group_size, std::max(fair, std::min(left, group_size))});
    hand = {Clock::now(), n};
    groups_ended_ += n == 0;
    const std::vector<std::int64_t> given(items_.begin(), items_.begin() + n);
    items_.erase(items_.begin(), items_.begin() + n);
    return given;
}

void Dealer::serve(bool wish) {
    while (auto letter = world_.read_letter()) {
        auto& words = letter->words;
        if (words[0] == ask_word) {
            std::vector<std::int64_t> answer = deal(letter->from, words[1], words[2] != 0);
            answer.insert(answer.begin(), items_word);
            world_.post(letter->from, std::move(answer));
        } else if (words[0] == items_word) {
            answer_.emplace(words.begin() + 1, words.end());
        } else if (world_.root()) {
            stop_everyone();
        } else {
            stopping_ = true;
        }
    }
    if (world_.root() && Clock::now() > deadline_) wish = true;
    if (!wish || stopping_) return;
    if (world_.root())
        stop_everyone();
    else
        world_.post(0, {stop_word});
    stopping_ = true;
}

void Dealer::stop_everyone() {
    if (stopping_) return;
    stopping_ = true;
    for (int rank = 1; rank < world_.size(); ++rank) world_.post(rank, {stop_word});
}

}  // namespace moesweep
