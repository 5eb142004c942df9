#include <boost/program_options.hpp>
#include <map>
#include <sstream>

#include "commands.h"

namespace moesweep {
namespace {

namespace po = boost::program_options;

struct Command {
    const char* usage;
    const char* summary;
    bool configured;  // takes --section.key=value
};
const std::map<std::string, Command> commands = {
    {"trace",
     {"trace CONFIG.ini [--section.key=value ...]", "scan the facts, sweep every (layer, expert), write RUN/sweep.h5",
      true}},
    {"plan", {"plan CONFIG.ini [--section.key=value ...]", "say what a trace would cost, without running it", true}},
    {"merge", {"merge RUN [--section.key=value ...]", "build RUN/sweep.h5 again from the units of a run", true}},
    {"report", {"report RUN", "draw RUN/report again from RUN/sweep.h5", false}},
    {"inspect", {"inspect MODEL", "show what a checkpoint is, and what a run on it would be refused for", false}},
    {"tokenize", {"tokenize MODEL TEXT...", "print the token ids of each text, a line per text", false}},
};

po::options_description options_of(const std::string& command) {
    po::options_description options("Options");
    options.add_options()("help", "show this help");
    if (command == "trace") {
        options.add_options()("dry-run", "the same as plan");
        options.add_options()("verify", "hash all weights again, also files that have not changed by size and time");
    }
    if (command == "tokenize") options.add_options()("pieces", "add each token's piece and its character offsets");
    const auto known = commands.find(command);
    if (known == commands.end() || !known->second.configured) return options;
    options.add_options()("print-config", "print the effective configuration and stop");
    for (const auto& [key, value] : settings(Config{}))
        options.add_options()(key.c_str(), po::value<std::string>(), value.empty() ? "" : ("default " + value).c_str());
    return options;
}

/// "--key=" with nothing behind it: an empty value, as in a file. Boost's own parser refuses it.
std::vector<po::option> parse_empty_value(std::vector<std::string>& arguments) {
    const std::string first = arguments.front();
    if (first.size() <= 3 || !first.starts_with("--") || first.find('=') != first.size() - 1) return {};
    arguments.erase(arguments.begin());
    po::option option(first.substr(2, first.size() - 3), {""});
    option.original_tokens = {first};
    return {option};
}

}  // namespace

const std::string& CommandLine::only_argument(const char* what) const {
    if (arguments.size() != 1)
        fail(Exit::usage, "{}: expected one argument, {}, got {}", command, what, arguments.size());
    return arguments[0];
}

CommandLine parse_command_line(int argc, const char* const* argv) {
    CommandLine line;
    line.command = argc > 1 ? argv[1] : "--help";
    if (line.command == "--help" || line.command == "-h" || line.command == "help") {
        line.help = true;
        line.command.clear();
        return line;
    }
    if (line.command == "--version") {
        line.version = true;
        return line;
    }
    if (!commands.contains(line.command)) fail(Exit::usage, "unknown command '{}', see moesweep --help", line.command);

    po::options_description all = options_of(line.command);
    all.add_options()("argument", po::value<std::vector<std::string>>());
    po::positional_options_description positional;
    positional.add("argument", -1);
    const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing &
                       ~po::command_line_style::allow_short;
    po::variables_map values;
    try {
        po::command_line_parser parser(argc - 1, argv + 1);
        parser.options(all).positional(positional).style(style).extra_style_parser(parse_empty_value);
        po::store(parser.run(), values);
    } catch (const po::error& error) {
        fail(Exit::usage, "{}: {}, see moesweep {} --help", line.command, error.what(), line.command);
    }
    line.help = values.count("help") > 0;
    line.dry_run = values.count("dry-run") > 0 || line.command == "plan";
    line.print_config = values.count("print-config") > 0;
    line.verify = values.count("verify") > 0;
    line.pieces = values.count("pieces") > 0;
    if (values.count("argument") > 0) line.arguments = values["argument"].as<std::vector<std::string>>();
    for (const auto& [key, value] : values)
        if (key.find('.') != std::string::npos) line.overrides.push_back(key + "=" + value.as<std::string>());
    return line;
}

std::string help_text(const std::string& command) {
    std::ostringstream text;
    if (command.empty()) {
        text << "moesweep: which experts of a mixture-of-experts language model carry a fact\n\n";
        for (const auto& [name, c] : commands) text << "  moesweep " << c.usage << "\n      " << c.summary << "\n";
        text << "\n  moesweep COMMAND --help\n  moesweep --version\n\nUnder mpirun, trace divides its work over the "
                "ranks.\n"
                "Exit codes: 0 done, 75 stopped and resumable, 64 usage, 65 bad data, 74 I/O, 78 the run folder "
                "belongs to\n"
                "another configuration, 69 another live run holds it, 71 no progress (run.watchdog), 70 internal.\n";
    } else {
        const Command& c = commands.at(command);
        text << "moesweep " << c.usage << "\n  " << c.summary << "\n\n" << options_of(command);
        if (c.configured)
            text << "\nKeys are explained in configs/reference.ini. Configuration file < MOESWEEP_SECTION_KEY < "
                    "command line.\n";
    }
    return text.str();
}

}  // namespace moesweep
