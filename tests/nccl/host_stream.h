// Streams of host memory, for the tests of NCCL's callers: what is put on one is done as late as can be, when somebody
// synchronises with it or with a stream that waits for it. So work that nobody made to wait for its input does not find it.
#pragma once
#include <functional>

#include "device_network.h"

/// Behind what is on the stream already.
void put(moesweep::Stream stream, std::function<void()> work);
/// Does all that is on the stream.
void synchronise(moesweep::Stream stream);
