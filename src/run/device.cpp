#include "moesweep/run/device.h"

#include "moesweep/comm/gpu.h"

namespace moesweep {

c10::Device device_of_rank(RunDevice asked, std::optional<int> gpus, const Comm& world) {
    const c10::Device cpu(c10::kCPU);
    if (asked == RunDevice::cpu) return cpu;
    if (asked == RunDevice::cuda)
        world.together([&] {
            if (!gpus) fail(Exit::usage, "run.device: cuda, but this program was built without CUDA (preset cuda)");
            if (*gpus == 0) fail(Exit::usage, "run.device: cuda, but rank {} sees no GPU", world.rank());
        });
    if (world.any(gpus.value_or(0) == 0)) return cpu;
    return {c10::kCUDA, static_cast<c10::DeviceIndex>(world.node().rank() % *gpus)};
}

c10::Device settle_device(RunConfig& config, const Comm& world) {
    const c10::Device device = device_of_rank(config.run.device, visible_gpus(), world);
    world.together([&] {
        if (device.is_cuda()) use_gpu(device.index());
    });
    config.run.device = device.is_cuda() ? RunDevice::cuda : RunDevice::cpu;
    if (config.model.precision == Precision::automatic)
        config.model.precision = device.is_cuda() ? Precision::split : Precision::fp32;
    return device;
}

}  // namespace moesweep
