// A method: what a run computes. The program knows a method by one such table (src/commands/commands.cpp).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"
#include "moesweep/comm/comm.h"
#include "moesweep/config/keys.h"
#include "moesweep/run/command_line.h"

namespace moesweep {

struct Method {
    const char* name;                    ///< of its command, and in the identity of its runs
    const char* summary;                 ///< of what it does, for the help text
    std::vector<Setting> (*defaults)();  ///< of every key
    /// METHOD CONFIG: computes what is missing, and merges. Every rank calls it.
    Exit (*run)(const CommandLine& line, const Comm& world);
    /// METHOD CONFIG --dry-run: says what the same would cost on these ranks. Every rank calls it.
    Exit (*plan)(const CommandLine& line, const Comm& world);
    /// merge RUN: builds the file that people read again from finished units. One process.
    Exit (*merge)(const CommandLine& line);
};

/// The configuration C that a command line asks for; nothing where it was to be printed, and is. Every rank calls it.
/// SharedError(usage, data).
template <class C>
std::optional<C> read_configuration(const CommandLine& line, const Comm& world) {
    C config;
    world.together([&] { config = load_config<C>(line.only_argument("a configuration file"), line.overrides); });
    if (!line.print_config) return config;
    if (world.root()) fmt::print("{}", to_ini(config));
    return std::nullopt;
}

/// The configuration of a finished run in `folder`, with what may change changed. Error(other_run) for another key.
/// Nothing where it was to be printed, and is.
template <class C>
std::optional<C> read_configuration_of(const std::string& folder, const CommandLine& line) {
    const std::string file = folder + "/config.ini";
    const C config = load_config<C>(file, line.overrides);
    if (line.print_config) return fmt::print("{}", to_ini(config)), std::nullopt;
    const auto before = settings(parse_config<C>(read_file(file), file)), now = settings(config);
    for (std::size_t i = 0; i < now.size(); ++i)
        if (now[i].identity && before[i].value != now[i].value)
            fail(Exit::other_run, "{}: {}: the units were computed with {}, not {}", folder, now[i].key,
                 before[i].value, now[i].value);
    return config;
}

}  // namespace moesweep
