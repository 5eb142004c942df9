// A device that is none: torch's PrivateUse1 on host memory, for tests of code that must run on GPUs. As strict as a GPU where
// it counts: an operation on tensors of two devices is an error, and what is put on a stream of its own happens as late as it
// may, when somebody waits for it.
#pragma once
#include <c10/core/Device.h>

namespace moesweep {

inline const c10::Device stand_in_device(c10::DeviceType::PrivateUse1, 0);

/// Operations done on it so far.
long operations_on_the_stand_in();

}  // namespace moesweep
