// Where a rank's model runs: run.device, and the GPU that is its own.
#pragma once
#include <c10/core/Device.h>

#include <optional>

#include "moesweep/comm/comm.h"
#include "moesweep/config/config.h"

namespace moesweep {

/// The device of this rank, which sees so many GPUs. The same kind on all ranks: `automatic` is CUDA where every rank
/// sees a GPU. The ranks of a node take one each, round and round where there are more ranks. Every rank calls it.
/// SharedError(usage) naming run.device where a rank has no GPU for `cuda`.
c10::Device device_of_rank(RunDevice asked, std::optional<int> gpus, const Comm& world);

/// The same of the GPUs that it does see, of which its own becomes this thread's current one; run.device and
/// model.precision become what they are there. Every rank calls it.
c10::Device settle_device(RunConfig& config, const Comm& world);

}  // namespace moesweep
