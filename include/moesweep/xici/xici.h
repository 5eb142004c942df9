// The second method: knowledge by contrast between languages (XICI, arXiv 2603.17102).
#pragma once
#include "moesweep/run/method.h"

namespace moesweep {

extern const Method xici_method;

}  // namespace moesweep
