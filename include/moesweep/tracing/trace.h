// The first method: expert-aware causal tracing (arXiv 2606.03780).
#pragma once
#include "moesweep/run/method.h"

namespace moesweep {

extern const Method tracing_method;

}  // namespace moesweep
