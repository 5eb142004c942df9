// The GPUs that this process sees. A build without CUDA sees none.
#pragma once
#include <cstdint>
#include <optional>

namespace moesweep {

/// How many there are; 0 in a build without CUDA.
std::optional<int> visible_gpus();
/// Makes a GPU the current one of this thread. Error(internal) if it cannot be used.
void use_gpu(int index);
/// Free memory of the current GPU, in bytes.
std::int64_t free_gpu_memory();

}  // namespace moesweep
