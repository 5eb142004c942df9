#include "moesweep/run/command_line.h"

#include "moesweep/base/error.h"

namespace moesweep {

const std::string& CommandLine::only_argument(const char* what) const {
    if (arguments.size() != 1)
        fail(Exit::usage, "{}: expected one argument, {}, got {}", command, what, arguments.size());
    return arguments[0];
}

}  // namespace moesweep
