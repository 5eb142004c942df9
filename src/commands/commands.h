// The commands of the program, one file each.
#pragma once
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/config/config.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

/// A command with its arguments, as the command line gives them.
struct CommandLine {
    std::string command;
    std::vector<std::string> arguments;  ///< positional
    std::vector<std::string> overrides;  ///< "section.key=value"
    bool help = false, version = false, dry_run = false, print_config = false, pieces = false, verify = false;

    /// The one positional argument that a command needs. Error(usage) says what is missing or too much.
    const std::string& only_argument(const char* what) const;
};

/// Error(usage) for an unknown command or option.
CommandLine parse_command_line(int argc, const char* const* argv);
std::string help_text(const std::string& command);

/// moesweep trace CONFIG: scans, sweeps, merges. Every rank calls it.
Exit trace(const CommandLine& line, const Comm& comm);
/// moesweep plan CONFIG = trace --dry-run: says what a run on these ranks would cost. Every rank calls it.
void plan(Config config, const Comm& comm);
/// moesweep merge RUN: builds sweep.h5 from finished units.
void merge(const CommandLine& line);
/// moesweep report RUN: draws RUN/report anew from RUN/sweep.h5, by analysis/report.py. Returns only by an Error.
void report(const CommandLine& line);
/// moesweep inspect MODEL: geometry, tensors, tokenizer. Ends with an Error where a run would be refused.
void inspect(const CommandLine& line);
/// The token that prompts begin with, as inspect and plan say it; behind it, if model.bos = auto, where the tokenizer's
/// files disagree on it. Errors as bos_token.
std::vector<std::string> bos_lines(const Tokenizer& tokenizer, Bos setting);
/// moesweep tokenize MODEL TEXT...: a line of ids per text.
void tokenize(const CommandLine& line);

}  // namespace moesweep
