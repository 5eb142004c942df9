// The commands of the program: one table, which main, the command line and the help text walk. To add one, write its
// function in a file of its own and a line in commands.cpp. A method (run/method.h) is a command by itself.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/config/keys.h"
#include "moesweep/run/command_line.h"

namespace moesweep {

struct Flag {
    const char *name, *meaning;
};

struct Command {
    std::string name, usage, summary;
    std::vector<Setting> settings = {};  ///< keys that it takes as --section.key=value, with their defaults
    std::vector<Flag> flags = {};
    /// Under mpirun, every rank runs it; the others leave it to the first task alone.
    std::function<Exit(const CommandLine&, const Comm& world)> on_every_rank = {};
    std::function<Exit(const CommandLine&)> alone = {};  ///< exactly one of the two
};
const std::vector<Command>& commands();
/// nullptr where there is none of that name.
const Command* find_command(const std::string& name);

/// Error(usage) for an unknown command or option.
CommandLine parse_command_line(int argc, const char* const* argv);
std::string help_text(const std::string& command);

/// moesweep report RUN: draws RUN/report anew from the file of a run of either method, by analysis/. Returns only by an
/// Error.
Exit report(const CommandLine& line);
/// moesweep inspect MODEL: geometry, tensors, tokenizer. Ends with an Error where a run would be refused.
Exit inspect(const CommandLine& line);
/// moesweep tokenize MODEL TEXT...: a line of ids per text; with --chat, of each text as a question in the model's chat
/// form, behind the line of the prompt as a JSON string.
Exit tokenize(const CommandLine& line);

}  // namespace moesweep
