// The unit queue under mpirun: everything is handed out once, and a wish or a failure ends it for all.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "catch_beside_torch.h"
#include "mpi_world.h"
#include "run/dealer.h"

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
    constexpr std::int64_t count = 60;
    const Comm group = group_of(1), node = world().node();
    REQUIRE(node.size() == world().size());
    auto& taken = *reinterpret_cast<std::atomic<std::int64_t>*>(node.share_memory(sizeof(std::int64_t)).data());
    Dealer dealer(world(), group, first(count), 1, no_deadline);
    const bool slow = world().rank() == world().size() - 1;
    std::int64_t mine = 0;
    while (const auto hand = dealer.next(false)) {
        ++mine;
        ++taken;
        while (slow && taken < count) std::this_thread::yield();  // at its first until the others have had all the rest
    }
    CHECK((!slow || mine <= 1));
    const auto all = world().gather_all(std::vector<double>{double(mine)});
    CHECK(std::accumulate(all.begin(), all.end(), 0.0) == count);
}

TEST_CASE("one rank's wish stops all", "[dealer]") {
    const Comm group = group_of(GENERATE(1, 2));
    Dealer dealer(world(), group, first(1000), 1, no_deadline);
    std::vector<std::int64_t> mine;
    while (const auto hand = dealer.next(false)) {
        mine.insert(mine.end(), hand->begin(), hand->end());
        // A pass that nobody ends but the last rank, whose wish has to reach all; a group agrees on it in every step.
        do dealer.serve(world().rank() == world().size() - 1);
        while (!group.any(dealer.stopping()));
        dealer.serve(true);
    }
    const auto all = gathered(mine);
    CHECK(all.size() <= static_cast<std::size_t>(world().size()));
    CHECK(std::set(all.begin(), all.end()).size() == all.size());
    CHECK(dealer.done() == 0);
    CHECK((!world().root() || dealer.stopping()));
}

TEST_CASE("after a failure nothing more is handed out, and it does not count as done", "[dealer]") {
    const Comm group = group_of(1);
    Dealer dealer(world(), group, first(50), 2, no_deadline);
    std::vector<std::int64_t> mine;
    bool failed = false;
    while (const auto hand = dealer.next(failed)) {
        CHECK_FALSE(failed);
        mine.insert(mine.end(), hand->begin(), hand->end());
        failed = true;  // each rank at its first hand
    }
    CHECK(mine.size() <= 2);
    CHECK(gathered(mine).size() < 50);
    CHECK(dealer.done() == 0);
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
