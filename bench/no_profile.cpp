// A build without CUDA.
#include "moesweep/base/error.h"
#include "profile.h"

namespace moesweep {

void print_profile(const std::function<void()>&) {
    fail(Exit::usage, "profile: of a GPU, in the preset cuda");
}

}  // namespace moesweep
