// What handing out units costs rank 0, and how long groups wait for it.
//
//     mpirun -n RANKS build/cpu/dealer_scale                 units without work: rank 0's processor time for each
//     build/cpu/dealer_scale simulate [GROUPS [UNITS]]       a thousand groups by a simulated clock
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <numeric>
#include <queue>
#include <random>
#include <string_view>
#include <thread>

#include "moesweep/base/error.h"
#include "run/dealer.h"

using namespace moesweep;

namespace {

std::vector<std::int64_t> first(std::int64_t n) {
    std::vector<std::int64_t> items(static_cast<std::size_t>(n));
    std::iota(items.begin(), items.end(), 0);
    return items;
}

/// Processor time of this thread: ranks that share cores do not count.
double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

auto open_files() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

constexpr auto no_deadline = Dealer::Clock::time_point::max();

/// Each rank is a group, and asks again at once.
void measure(const Comm& world) {
    const std::int64_t units = std::int64_t{200} * (world.size() - 1);
    constexpr int looks = 20'000;
    const Comm group = Comm::alone();
    const auto files = open_files();
    Dealer dealer(world, group, first(units), 1, no_deadline);
    const double begin = processor_seconds();
    while (world.root() && dealer.done() < units) {  // it takes none itself
        dealer.serve(false);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    while (dealer.next(false)) {}
    const double dealing = processor_seconds() - begin;

    world.barrier();
    double looking = 0, stopping = 0;
    Dealer stopped(world, group, {}, 1, no_deadline);
    if (world.root()) {
        looking = -processor_seconds();
        for (int i = 0; i < looks; ++i) dealer.serve(false);
        looking += processor_seconds();
        stopping = -processor_seconds();
        stopped.serve(true);
        stopping += processor_seconds();
    } else {
        while (stopped.serve(false), !stopped.stopping()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    world.barrier();
    if (world.root())
        fmt::print(
            "{} ranks: {:.2f} us of rank 0 for a unit of another ({} units), {:.2f} us for a look where nothing waits, "
            "{:.0f} us to tell all to stop, {} files opened for connections\n",
            world.size(), 1e6 * dealing / double(units), units, 1e6 * looking / looks, 1e6 * stopping,
            open_files() - files);
}

/// Rank 0 computes units of its own and looks for messages every `gap` seconds; a message then costs it `cost` seconds.
struct Setting {
    std::int64_t groups, units, most;
    double unit_seconds, gap, cost;
};

void simulate(const Setting& s) {
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> unit_time(std::log(s.unit_seconds), 0.2);
    const auto at = [](double seconds) {
        return WorkQueue::Clock::time_point(
            std::chrono::duration_cast<WorkQueue::Clock::duration>(std::chrono::duration<double>(seconds)));
    };
    WorkQueue queue(first(s.units), s.groups, s.groups, s.most, no_deadline);
    using Request = std::pair<double, int>;  // when, of whom
    std::priority_queue<Request, std::vector<Request>, std::greater<>> requests;
    for (int g = 0; g < s.groups; ++g) requests.emplace(0, g);
    double root_ready = 0, waited = 0, worked = 0, end = 0, serving = 0;
    bool root_works = true;
    while (!requests.empty()) {
        const auto [asked, group] = requests.top();
        requests.pop();
        // Rank 0 answers itself at once, others at its next look; when it has nothing left it only looks.
        const double look = group == 0 || !root_works ? asked : std::ceil(asked / s.gap) * s.gap;
        const double answered = std::max(look, root_ready) + (group == 0 ? 0 : s.cost);
        if (group != 0) root_ready = answered, serving += s.cost;
        const auto items = queue.assign(group, 1, false, at(answered));
        if (items.empty()) {
            root_works &= group != 0;
            end = std::max(end, answered);
            continue;
        }
        double took = 0;
        for (std::size_t i = 0; i < items.size(); ++i) took += unit_time(random);
        waited += answered - asked;
        worked += took;
        requests.emplace(answered + took, group);
    }
    if (queue.done() != s.units) fail(Exit::internal, "{} of {} units done", queue.done(), s.units);
    fmt::print("{:6} {:7} {:6} {:8.2f} {:8.3f} {:12.4f} {:12.3f} {:12.3f}\n", s.groups, s.units, s.most, s.unit_seconds,
               s.gap, 100 * waited / worked, serving, end * double(s.groups) / worked);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "simulate") {
        const std::int64_t groups = argc > 2 ? std::atoll(argv[2]) : 1000,
                           units = argc > 3 ? std::atoll(argv[3]) : 14'000;
        fmt::print("groups   units   most   unit s    gap s    waiting %   rank 0 s     time / ideal\n");
        for (const std::int64_t most : {1, 16})
            for (const double unit_seconds : {0.1, 60.})
                for (const double part : {1. / 48, 1. / 4, 1.})  // a look in each layer; in none of many
                    simulate({groups, units, most, unit_seconds, part * unit_seconds, 20e-6});
        return 0;
    }
    const Comm world;
    if (world.size() > 1) measure(world);
}
