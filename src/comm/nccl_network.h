// NCCL between ranks of which each has a device of its own.
#pragma once
#include <memory>

#include "device_network.h"

namespace moesweep {

/// Every rank of `ranks` calls it, its device being the current one. Waits for the others. Error(internal) if NCCL refuses.
std::unique_ptr<DeviceNetwork> connect_nccl(const Comm& ranks);

}  // namespace moesweep
