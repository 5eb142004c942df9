// Copies of a layer from host memory to a device, beside what the device computes meanwhile.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <cstdint>

namespace moesweep {

/// The way from one buffer on the host to one on the device. release() and wait() are the computing thread's, finish()
/// and start() may be another's.
class Upload {
  public:
    explicit Upload(c10::Device device);

    /// The buffer on the device has done its service once the device has done all that it has been told so far.
    void release();
    /// Copies when it has.
    void start(const at::Tensor& from, const at::Tensor& to);
    /// What the device is told from now on comes after the copy.
    void wait();
    /// Returns when the copy is done: the buffer on the host may be filled again.
    void finish();

  private:
    c10::Stream computing() const;

    c10::Device device_;
    c10::Stream copying_;
    c10::Event released_, arrived_;
};

/// Host memory from which copies to the device go at full speed, [bytes] of uint8.
at::Tensor staging_memory(std::int64_t bytes, c10::Device device);

}  // namespace moesweep
