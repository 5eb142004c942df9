// What rank 0 assigns, by a clock that the test sets.
#include <catch2/catch.hpp>
#include <numeric>

#include "run/work_queue.h"

using namespace moesweep;

namespace {

using Clock = WorkQueue::Clock;
using Items = std::vector<std::int64_t>;

Clock::time_point at(int seconds) {
    return Clock::time_point(std::chrono::seconds(seconds));
}

constexpr auto no_deadline = Clock::time_point::max();

Items first(std::size_t n) {
    Items items(n);
    std::iota(items.begin(), items.end(), 0);
    return items;
}

}  // namespace

TEST_CASE("items are assigned in order, as many as a group's ranks take, and alike towards the end", "[work_queue]") {
    WorkQueue queue(first(11), 4, 2, 2, no_deadline);
    CHECK(queue.assign(0, 2, false, at(0)) == Items{0, 1, 2, 3});
    CHECK(queue.assign(2, 2, false, at(0)) == Items{4, 5, 6, 7});
    CHECK(queue.done() == 0);
    CHECK(queue.assign(2, 2, false, at(1)) == Items{8, 9});  // 3 are left: 2 for one group, 1 for the other
    CHECK(queue.done() == 4);
    CHECK(queue.assign(0, 2, false, at(2)) == Items{10});
    CHECK_FALSE(queue.every_group_ended());
    CHECK(queue.assign(0, 2, false, at(3)).empty());
    CHECK_FALSE(queue.every_group_ended());
    CHECK(queue.assign(2, 2, false, at(3)).empty());
    CHECK(queue.every_group_ended());
    CHECK(queue.done() == 11);
}

TEST_CASE("nothing is assigned that would end past the deadline, going by the longest so far", "[work_queue]") {
    WorkQueue queue(first(10), 2, 2, 1, at(100));
    CHECK(queue.assign(0, 1, false, at(0)).size() == 1);
    CHECK(queue.assign(1, 1, false, at(0)).size() == 1);
    CHECK(queue.assign(0, 1, false, at(40)).size() == 1);  // took 40: until 80
    CHECK(queue.assign(1, 1, false, at(60)).empty());      // took 60: until 120
}

TEST_CASE("a failure ends the list but not what others are at", "[work_queue]") {
    WorkQueue queue(first(10), 3, 3, 1, no_deadline);
    for (const int leader : {0, 1, 2}) CHECK(queue.assign(leader, 1, false, at(0)).size() == 1);
    CHECK(queue.assign(1, 1, true, at(1)).empty());
    CHECK(queue.done() == 0);
    CHECK(queue.assign(0, 1, false, at(2)).empty());
    CHECK(queue.done() == 1);
    CHECK(queue.assign(2, 1, true, at(2)).empty());
    CHECK(queue.done() == 1);
    CHECK(queue.every_group_ended());
}

TEST_CASE("after a stop nothing is assigned, and what groups were at does not count", "[work_queue]") {
    WorkQueue queue(first(10), 2, 2, 3, no_deadline);
    CHECK(queue.assign(0, 1, false, at(0)).size() == 3);
    CHECK(queue.assign(1, 1, false, at(0)).size() == 3);
    CHECK(queue.assign(0, 1, false, at(1)).size() == 2);
    queue.stop();
    CHECK(queue.assign(0, 1, false, at(2)).empty());
    CHECK(queue.assign(1, 1, false, at(2)).empty());
    CHECK(queue.done() == 3);
}
