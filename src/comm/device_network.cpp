#include "device_network.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace moesweep {
namespace {

struct Networks {
    std::mutex mutex;
    std::vector<DeviceNetwork*> entered;
};

Networks& networks() {
    static Networks all;
    return all;
}

}  // namespace

void DeviceNetwork::enter() {
    const std::lock_guard lock(networks().mutex);
    networks().entered.push_back(this);
}

void DeviceNetwork::leave() noexcept {
    const std::lock_guard lock(networks().mutex);
    std::erase(networks().entered, this);
}

void DeviceNetwork::abort_all() noexcept {
    const std::lock_guard lock(networks().mutex);
    for (DeviceNetwork* network : networks().entered) network->abort();
}

std::optional<std::string> DeviceNetwork::failure_of_any() noexcept {
    const std::lock_guard lock(networks().mutex);
    for (DeviceNetwork* network : networks().entered)
        if (auto failure = network->failure()) return failure;
    return std::nullopt;
}

}  // namespace moesweep
