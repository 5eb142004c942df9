// Tests under mpirun: every rank runs the same test cases with the same seeds, so that all take part in the same calls.
#pragma once
#include "moesweep/comm/comm.h"

namespace moesweep {

inline const Comm& world() {
    static const Comm all;
    return all;
}

}  // namespace moesweep
