// The network between the ranks' devices, as Comm sees it. The preset decides what is built: cuda_network.cpp and
// nccl_network.cpp, or no_device.cpp.
#pragma once
#include <c10/core/Device.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "moesweep/comm/comm.h"

struct CUstream_st;

namespace moesweep {

/// CUDA's stream: a device's queue of work.
using Stream = CUstream_st*;

/// Rows in rank order without gaps, and how many of their bytes go to or come from each rank.
template <class Byte>
struct Parcel {
    Byte* data;
    std::span<const std::size_t> bytes;
};

/// Only the thread that made it may call it, except for abort() and failure().
class DeviceNetwork {
  public:
    /// Rows under way. Their memory must stay until wait() or the destructor has been called.
    class Transfer {
      public:
        virtual ~Transfer() = default;
        /// Work that is put on `stream`, or on the stream of start(), from now on finds the rows in place. Does not
        /// block. Error(internal) if the network has failed.
        virtual void wait(Stream stream) = 0;
    };

    DeviceNetwork() = default;
    virtual ~DeviceNetwork() = default;
    DeviceNetwork(const DeviceNetwork&) = delete;
    DeviceNetwork& operator=(const DeviceNetwork&) = delete;

    /// Sends and receives once the work on `stream` is done. All ranks start the same transfers in the same order.
    /// Error(internal) if this or an earlier call has failed.
    virtual std::unique_ptr<Transfer> start(Parcel<const std::byte> sent, Parcel<std::byte> received,
                                            Stream stream) = 0;
    /// Breaks off what is under way. The network cannot be used afterwards.
    virtual void abort() noexcept = 0;
    /// An asynchronous error.
    virtual std::optional<std::string> failure() noexcept = 0;

    /// All networks of this process: each enters when it is ready and leaves before it ends.
    static void abort_all() noexcept;
    static std::optional<std::string> failure_of_any() noexcept;

  protected:
    void enter();
    void leave() noexcept;
};

/// The network between the devices of `ranks`; this rank's is `device`. Every rank calls it. Null if ranks share a
/// device, which NCCL refuses.
std::unique_ptr<DeviceNetwork> connect_devices(const Comm& ranks, c10::Device device);

/// The stream that torch uses on the device.
Stream current_stream(c10::Device device);

}  // namespace moesweep
