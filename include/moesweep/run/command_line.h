// A command with its arguments, as the command line gives them.
#pragma once
#include <string>
#include <vector>

namespace moesweep {

struct CommandLine {
    std::string command;
    std::vector<std::string> arguments;  ///< positional
    std::vector<std::string> overrides;  ///< "section.key=value"
    bool help = false, version = false, dry_run = false, print_config = false, pieces = false, chat = false,
         verify = false;

    /// The one positional argument that a command needs. Error(usage) says what is missing or too much.
    const std::string& only_argument(const char* what) const;
};

}  // namespace moesweep
