// Streams on host memory, for the tests of NCCL's callers. Work is done as late as possible, when somebody synchronises
// with its stream or with one that waits for it, so work that was not made to wait for its input does not find it.
#pragma once
#include <functional>

#include "device_network.h"

/// Behind what is on the stream already.
void put(moesweep::Stream stream, std::function<void()> work);
/// Does all that is on the stream.
void synchronise(moesweep::Stream stream);
