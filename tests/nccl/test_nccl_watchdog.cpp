// How a process ends that waits in NCCL: alone and without MPI, because the processes are forked.
#include <algorithm>

#include "catch_beside_torch.h"
#include "in_a_process.h"
#include "moesweep/run/watchdog.h"
#include "nccl_network.h"
#include "stand_in.h"

using namespace moesweep;

TEST_CASE("the watchdog aborts NCCL before it ends the process", "[nccl]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        const auto network = connect_nccl(alone);
        Watchdog watchdog(alone, 0.3);
        watchdog.phase("sweep");
        ::pause();
    });
    CHECK(WIFEXITED(outcome.status));
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    const auto line = outcome.said.find("'sweep'"), abort = outcome.said.find("stand-in: ncclCommAbort");
    CHECK(line != std::string::npos);
    CHECK(abort != std::string::npos);
    CHECK(line < abort);
}

TEST_CASE("the watchdog notices what has gone wrong in NCCL while the process waits for a GPU", "[nccl]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        const auto network = connect_nccl(alone);
        Watchdog watchdog(alone, 3600);
        watchdog.phase("sweep");
        stand_in_fails_behind(ncclRemoteError);
        ::pause();
    });
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    CHECK(outcome.said.find("moesweep: rank 0: NCCL: asynchronous error: remote process exited") == 0);
    CHECK(outcome.said.find("stand-in: ncclCommAbort") != std::string::npos);
}

TEST_CASE("nothing is kept of what an abort has broken off", "[nccl]") {
    const Outcome outcome = in_a_process([] {
        const Comm alone = Comm::alone();
        const auto network = connect_nccl(alone);
        Watchdog watchdog(alone, 0.3);
        watchdog.phase("sweep");
        while (stand_in_calls("ncclCommAbort") == 0) std::this_thread::yield();  // the GPU's rows would be there now
        Comm::stay_if_ending();
        std::fputs("kept\n", stderr);
    });
    CHECK(WEXITSTATUS(outcome.status) == static_cast<int>(Exit::stuck));
    CHECK(outcome.said.find("kept") == std::string::npos);
}
