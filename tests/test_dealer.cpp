// The unit queue under mpirun: everything is handed out once, and a wish or a failure ends it for all.
#include <algorithm>
#include <numeric>
#include <set>
#include <thread>

#include "../src/protocol/dealer.h"
#include "catch_beside_torch.h"
#include "mpi_world.h"

using namespace moesweep;

namespace {

constexpr auto no_deadline = Dealer::Clock::time_point::max();

std::vector<std::int64_t> first(std::int64_t n) {
    std::vector<std::int64_t> items(static_cast<std::size_t>(n));
    std::iota(items.begin(), items.end(), 100);
    return items;
}

/// Every item that any rank was given, sorted.
std::vector<double> gathered(const std::vector<std::int64_t>& mine) {
    auto all = world().gather_all(std::vector<double>(mine.begin(), mine.end()));
    std::ranges::sort(all);
    return all;
}

Comm group_of(int ranks) {
    return world().split(world().rank() / ranks, world().rank());
}

}  // namespace

TEST_CASE("every item is handed out exactly once", "[dealer]") {
    const int group_size = GENERATE(1, 2, 3);
    const std::int64_t count = GENERATE(0, 1, 3, 40), most = GENERATE(1, 4);
    const Comm group = group_of(group_size);
    Dealer dealer(world(), group, first(count), most, no_deadline);
    std::vector<std::int64_t> mine;
    while (const auto hand = dealer.next(false)) {
        CHECK(static_cast<std::int64_t>(hand->size()) <= most);
        CHECK(static_cast<std::int64_t>(hand->size()) <= dealer.busiest());
        mine.insert(mine.end(), hand->begin(), hand->end());
        dealer.serve(false);
    }
    const auto items = first(count);
    CHECK(gathered(mine) == std::vector<double>(items.begin(), items.end()));
    CHECK_FALSE(dealer.stopping());
    if (world().root()) CHECK(dealer.done() == count);
}

TEST_CASE("a slow rank takes fewer", "[dealer]") {
    if (world().size() == 1) return;
    const Comm group = group_of(1);
    Dealer dealer(world(), group, first(60), 1, no_deadline);
    const bool slow = world().rank() == world().size() - 1;
    double taken = 0;
    while (const auto hand = dealer.next(false)) {
        taken += static_cast<double>(hand->size());
        // The slow one waits for a word that comes when the others are through: no clock decides this test.
        if (slow)
            while (!dealer.stopping() && !world().any(false)) break;
        if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    const auto all = world().gather_all(std::vector<double>{taken});
    CHECK(std::accumulate(all.begin(), all.end(), 0.0) == 60);
}

TEST_CASE("one rank's wish stops all", "[dealer]") {
    const Comm group = group_of(GENERATE(1, 2));
    Dealer dealer(world(), group, first(1000), 1, no_deadline);
    const bool wishes = world().rank() == world().size() - 1;
    std::vector<std::int64_t> mine;
    while (const auto hand = dealer.next(false)) {
        mine.insert(mine.end(), hand->begin(), hand->end());
        // A pass: the group works until its members agree to stop, or the pass is done.
        for (int step = 0; step < 3; ++step) {
            dealer.serve(wishes && mine.size() >= 3);
            if (group.any(dealer.stopping())) {
                dealer.serve(true);
                break;
            }
        }
    }
    const auto all = gathered(mine);
    CHECK(all.size() < 1000);
    CHECK(std::set(all.begin(), all.end()).size() == all.size());
    if (world().root()) CHECK(dealer.stopping());
}

TEST_CASE("after a failure nothing more is handed out, and it does not count as done", "[dealer]") {
    const Comm group = group_of(1);
    Dealer dealer(world(), group, first(50), 2, no_deadline);
    const bool fails = world().rank() == world().size() - 1;
    std::vector<std::int64_t> mine;
    bool failed = false;
    while (const auto hand = dealer.next(failed)) {
        CHECK_FALSE(failed);
        mine.insert(mine.end(), hand->begin(), hand->end());
        failed = fails && !hand->empty();
    }
    const auto all = gathered(mine);
    if (failed) CHECK(mine.size() <= 2);
    if (world().root() && world().any(failed) ) CHECK(dealer.done() < static_cast<std::int64_t>(all.size()));
    if (!world().root()) world().any(failed);
}

TEST_CASE("nothing is handed out that would not be done in time", "[dealer]") {
    const Comm group = group_of(1);
    Dealer over(world(), group, first(5), 1, Dealer::Clock::now() - std::chrono::seconds(1));
    CHECK_FALSE(over.next(false));
    // The first hand takes longer than what is left then.
    Dealer dealer(world(), group, first(1000), 1, Dealer::Clock::now() + std::chrono::milliseconds(700));
    int hands = 0;
    while (dealer.next(false)) {
        ++hands;
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
    }
    CHECK(hands <= 1);
}
