// A stand-in for a GPU: torch's PrivateUse1 on host memory, for tests of code that must run on GPUs. It is as strict as
// a GPU where that matters: an operation on tensors of two devices is an error, and work on another stream happens as
// late as it may, when somebody waits for it.
#pragma once
#include <c10/core/Device.h>

namespace moesweep {

inline const c10::Device stand_in_device(c10::DeviceType::PrivateUse1, 0);

/// The number of operations on it so far.
long operations_on_the_stand_in();

}  // namespace moesweep
