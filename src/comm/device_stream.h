// What the device's network needs of streams. Held apart from nccl_network.cpp, so that its tests can do with host memory.
#pragma once
#include "device_network.h"

struct CUevent_st;

namespace moesweep {

/// A stream of one's own on the current device; its work goes first.
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
    /// Behind all that is on `stream` now.
    void set(Stream stream);
    /// What is put on `stream` from now on waits until the mark is reached.
    void hold(Stream stream) const;

  private:
    CUevent_st* event_ = nullptr;
};

}  // namespace moesweep
