#include "moesweep/run/stop.h"

#include <csignal>

namespace moesweep {
namespace {

volatile std::sig_atomic_t requested = 0;

void request(int signal) {
    requested = 1;
    std::signal(signal, SIG_DFL);  // the second one means now
}

}  // namespace

bool stop_requested() {
    static const bool installed = [] {
        for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) std::signal(signal, request);
        return true;
    }();
    return installed && requested;
}

}  // namespace moesweep
