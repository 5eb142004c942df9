#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "commands.h"

namespace moesweep {

Exit report(const CommandLine& line) {
    const std::string run = line.only_argument("a run folder"), script = MOESWEEP_ANALYSIS "/report.py";
    if (!std::filesystem::exists(script))
        fail(Exit::io, "{}: not there; the report is made by the source tree's analysis/", script);
    const std::string own_python = MOESWEEP_PYTHON,
                      python = std::filesystem::exists(own_python) ? own_python : "python3";
    ::execlp(python.c_str(), python.c_str(), script.c_str(), run.c_str(), static_cast<char*>(nullptr));
    fail(Exit::io, "{}: cannot be started: {}", python, std::generic_category().message(errno));
}

}  // namespace moesweep
