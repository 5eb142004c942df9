// A build with CUDA: streams, events and the devices' names.
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "device_stream.h"
#include "moesweep/comm/gpu.h"
#include "nccl_network.h"

namespace moesweep {
namespace {

void check(cudaError_t result, const char* call) {
    if (result == cudaSuccess) return;
    // A process's first call allocates memory for its context.
    const Exit code = result == cudaErrorMemoryAllocation ? Exit::io : Exit::internal;
    fail(code, "CUDA: {}: {}", call, cudaGetErrorString(result));
}

std::string uuid(int index) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    return {std::begin(properties.uuid.bytes), std::end(properties.uuid.bytes)};
}

/// What NCCL tells devices apart by: parts of one GPU have different names but the same bus id.
std::string place(int index) {
    std::array<char, 256> host{}, bus{};
    gethostname(host.data(), host.size() - 1);
    check(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index), "cudaDeviceGetPCIBusId");
    return fmt::format("{} {}", host.data(), bus.data());
}

bool has_twins(std::vector<std::string> names) {
    std::ranges::sort(names);
    return std::ranges::adjacent_find(names) != names.end();
}

}  // namespace

std::unique_ptr<DeviceNetwork> connect_devices(const Comm& ranks, c10::Device device) {
    std::string name, where;
    ranks.together([&] {
        name = uuid(device.index());
        where = place(device.index());
    });
    const bool same_name = has_twins(ranks.gather_all(name)), same_place = has_twins(ranks.gather_all(where));
    if (same_name || same_place) return nullptr;
    const c10::cuda::CUDAGuard guard(device);
    return connect_nccl(ranks);
}

Stream current_stream(c10::Device device) {
    return c10::cuda::getCurrentCUDAStream(device.index()).stream();
}

std::optional<int> visible_gpus() {
    return c10::cuda::device_count();
}

void use_gpu(int index) {
    check(cudaSetDevice(index), "cudaSetDevice");
}

std::int64_t free_gpu_memory() {
    std::size_t free = 0, all = 0;
    check(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
    return static_cast<std::int64_t>(free);
}

OwnStream::OwnStream() {
    int least = 0, greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest), "cudaStreamCreateWithPriority");
}

OwnStream::~OwnStream() {
    cudaStreamDestroy(stream_);  // does not block: the work on it is finished first
}

Mark::Mark() {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
}

Mark::~Mark() {
    cudaEventDestroy(event_);
}

void Mark::set(Stream stream) {
    check(cudaEventRecord(event_, stream), "cudaEventRecord");
}

void Mark::hold(Stream stream) const {
    check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
}

}  // namespace moesweep
