// A build without CUDA.
#include "device_network.h"
#include "moesweep/comm/gpu.h"

namespace moesweep {

std::unique_ptr<DeviceNetwork> connect_devices(const Comm&, c10::Device device) {
    fail(Exit::internal, "rows on {}: this program was built without CUDA", device.str());
}

Stream current_stream(c10::Device device) {
    fail(Exit::internal, "a stream of {}: this program was built without CUDA", device.str());
}

std::optional<int> visible_gpus() {
    return std::nullopt;
}

void use_gpu(int index) {
    fail(Exit::internal, "GPU {}: this program was built without CUDA", index);
}

std::int64_t free_gpu_memory() {
    fail(Exit::internal, "a GPU's memory: this program was built without CUDA");
}

}  // namespace moesweep
