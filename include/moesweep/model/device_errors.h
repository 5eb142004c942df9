// What a device refuses, as an Error of one line.
#pragma once
#include <c10/core/Device.h>

#include <functional>

namespace moesweep {

/// Runs `step`, which may use `device`. Error(io) naming the device where its memory does not suffice or a call of its
/// driver fails; other exceptions pass.
void on_device(c10::Device device, const std::function<void()>& step);

}  // namespace moesweep
