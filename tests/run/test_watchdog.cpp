// The watchdog of a rank by itself: who moves is left alone, who does not is ended with one line.
#include <chrono>
#include <string>
#include <thread>

#include "catch_beside_torch.h"
#include "in_a_process.h"
#include "moesweep/base/files.h"
#include "moesweep/run/watchdog.h"

using namespace moesweep;

namespace {

void sleep_seconds(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

TEST_CASE("who moves is left alone", "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watchdog(alone, 2.0);
        watchdog.phase("sweep");
        for (int i = 0; i < 60; ++i) {  // three seconds in all
            sleep_seconds(0.05);
            watchdog.tick();
        }
    });
    CHECK(WIFEXITED(outcome.status));
    CHECK(WEXITSTATUS(outcome.status) == 0);
    CHECK(outcome.said.empty());
}

TEST_CASE("who works without a tick is left alone where work is the sign, and so is who waits for others",
          "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watchdog(alone, 1.0);
        watchdog.phase("opening", Watchdog::Signs::work);
        const auto passed = [begin = std::chrono::steady_clock::now()](double seconds) {
            return std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(seconds);
        };
        while (!passed(2)) continue;  // computes
        while (!passed(4)) {          // reads
            sleep_seconds(0.01);
            read_file("/proc/self/stat");
        }
        const Comm::Waiting waiting("MPI_Bcast");
        sleep_seconds(2);
    });
    CHECK(WIFEXITED(outcome.status));
    CHECK(WEXITSTATUS(outcome.status) == 0);
    CHECK(outcome.said.empty());
}

TEST_CASE("who neither works nor waits is ended where work is the sign", "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watchdog(alone, 0.3);
        watchdog.phase("opening", Watchdog::Signs::work);
        sleep_seconds(60);
    });
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    for (const char* word : {"rank 0", "'opening'", "at work"}) CHECK(outcome.said.find(word) != std::string::npos);
}

TEST_CASE("outside of a phase, and without a limit, nobody watches", "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watched(alone, 0.2), unlimited(alone, 0);
        sleep_seconds(0.5);
        watched.phase("scan");
        watched.phase("");
        watched.tick();
        unlimited.phase("scan");
        sleep_seconds(1);
    });
    CHECK(WIFEXITED(outcome.status));
    CHECK(WEXITSTATUS(outcome.status) == 0);
    CHECK(outcome.said.empty());
}

TEST_CASE("who stands still is ended with one line that says where", "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watchdog(alone, 0.3);
        watchdog.phase("sweep");
        sleep_seconds(60);
    });
    CHECK(WIFEXITED(outcome.status));
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    CHECK(std::count(outcome.said.begin(), outcome.said.end(), '\n') == 1);
    for (const char* word : {"moesweep: ", "rank 0", "'sweep'", "run.watchdog", "at work"})
        CHECK(outcome.said.find(word) != std::string::npos);
}

TEST_CASE("who waits for others is given time, and then says for what", "[watchdog]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        Watchdog watchdog(alone, 0.3);
        watchdog.phase("scan");
        const Comm::Waiting waiting("MPI_Barrier");
        sleep_seconds(60);
    });
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    CHECK(outcome.said.find("waiting for other ranks in MPI_Barrier") != std::string::npos);
}
