// The network between the ranks' devices, as Comm sees it. What is built of it depends on the preset: cuda_network.cpp with
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

/// CUDA's stream: a device's queue of work. Nothing here looks into it.
using Stream = CUstream_st*;

/// Where rows lie, without gaps in rank order, and how many bytes of them are for or from each rank.
template <class Byte>
struct Parcel {
    Byte* data;
    std::span<const std::size_t> bytes;
};

/// Its calls may come from the thread that made it, but for abort() and failure().
class DeviceNetwork {
  public:
    /// Rows under way. The memory must stay until wait() or the destructor has been called on it.
    class Transfer {
      public:
        virtual ~Transfer() = default;
        /// What is put on `stream`, and on the stream of start(), from now on finds the rows in place. Does not wait itself.
        /// Error(internal) if the network has failed.
        virtual void wait(Stream stream) = 0;
    };

    DeviceNetwork() = default;
    virtual ~DeviceNetwork() = default;
    DeviceNetwork(const DeviceNetwork&) = delete;
    DeviceNetwork& operator=(const DeviceNetwork&) = delete;

    /// Sends and receives once all that is on `stream` is done. All ranks start the same transfers in the same order.
    /// Error(internal) if a call fails, or something before it did.
    virtual std::unique_ptr<Transfer> start(Parcel<const std::byte> sent, Parcel<std::byte> received,
                                            Stream stream) = 0;
    /// Ends what is under way. The network is of no use afterwards.
    virtual void abort() noexcept = 0;
    /// What has gone wrong behind the calls' back.
    virtual std::optional<std::string> failure() noexcept = 0;

    /// The networks of this process: every one enters when it is ready and leaves before it ends.
    static void abort_all() noexcept;
    static std::optional<std::string> failure_of_any() noexcept;

  protected:
    void enter();
    void leave() noexcept;
};

/// Between the devices of `ranks`, of which this rank's is `device`; every rank calls it. None where ranks share a device:
/// NCCL refuses that.
std::unique_ptr<DeviceNetwork> connect_devices(const Comm& ranks, c10::Device device);

/// The stream that torch uses on the device.
Stream current_stream(c10::Device device);

}  // namespace moesweep
