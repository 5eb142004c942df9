// What the device's network needs of streams. Apart from nccl_network.cpp, so that tests can replace it by host memory.
#pragma once
#include "device_network.h"

struct CUevent_st;

namespace moesweep {

/// A new stream of high priority on the current device.
class OwnStream {
  public:
    OwnStream();
    ~OwnStream();
    OwnStream(const OwnStream&) = delete;
    OwnStream& operator=(const OwnStream&) = delete;
    Stream get() const { return stream_; }

  private:
    Stream stream_ = nullptr;
};

/// A place in a stream that others can wait for: CUDA's event.
class Mark {
  public:
    Mark();
    ~Mark();
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    /// Marks the end of the work that is on `stream` now.
    void set(Stream stream);
    /// Work that is put on `stream` from now on waits until the mark is reached.
    void hold(Stream stream) const;

  private:
    CUevent_st* event_ = nullptr;
};

}  // namespace moesweep
