// The GPUs that this process sees. A build without CUDA sees none.
#pragma once
#include <cstdint>
#include <optional>

namespace moesweep {

/// How many there are. None: the program was built without CUDA.
std::optional<int> visible_gpus();
/// Makes it the current one of this thread. Error(internal) if it cannot be used.
void use_gpu(int index);
/// Bytes that the current one has left.
std::int64_t free_gpu_memory();

}  // namespace moesweep
