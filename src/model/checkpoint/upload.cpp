#include "upload.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "layer_reader.h"

namespace moesweep {
namespace {

c10::impl::VirtualGuardImpl of(c10::Device device) {
    return c10::impl::VirtualGuardImpl(device.type());
}

}  // namespace

Upload::Upload(c10::Device device)
    : device_(device),
      copying_(of(device).getStreamFromGlobalPool(device)),
      released_(device.type()),
      arrived_(device.type()) {}

c10::Stream Upload::computing() const {
    return of(device_).getStream(device_);
}

void Upload::release() {
    released_.record(computing());
}

void Upload::start(const at::Tensor& from, const at::Tensor& to) {
    const c10::StreamGuard guard(copying_);
    released_.block(copying_);
    to.copy_(from, /*non_blocking=*/true);
    arrived_.record(copying_);
}

void Upload::wait() {
    arrived_.block(computing());
}

void Upload::finish() {
    if (arrived_.was_marked_for_recording()) arrived_.synchronize();
}

at::Tensor staging_memory(std::int64_t bytes, c10::Device device) {
    return device.is_cuda() ? at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true)) : map_memory(bytes);
}

}  // namespace moesweep
