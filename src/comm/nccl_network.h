// NCCL between ranks that each have a device of their own.
#pragma once
#include <memory>

#include "device_network.h"

namespace moesweep {

/// Every rank of `ranks` calls it, with its device as the current one; waits for the others. Error(internal).
std::unique_ptr<DeviceNetwork> connect_nccl(const Comm& ranks);

}  // namespace moesweep
