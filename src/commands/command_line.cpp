#include <boost/program_options.hpp>
#include <sstream>

#include "commands.h"

namespace moesweep {
namespace {

namespace po = boost::program_options;

po::options_description options_of(const Command& command) {
    po::options_description options("Options");
    options.add_options()("help", "show this help");
    for (const Flag& flag : command.flags) options.add_options()(flag.name, flag.meaning);
    for (const auto& [key, value, is_identity] : command.settings)
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
    const Command* command = find_command(line.command);
    if (!command) fail(Exit::usage, "unknown command '{}', see moesweep --help", line.command);

    po::options_description all = options_of(*command);
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
    line.dry_run = values.count("dry-run") > 0;
    line.print_config = values.count("print-config") > 0;
    line.verify = values.count("verify") > 0;
    line.pieces = values.count("pieces") > 0;
    line.chat = values.count("chat") > 0;
    if (values.count("argument") > 0) line.arguments = values["argument"].as<std::vector<std::string>>();
    for (const auto& [key, value] : values)
        if (key.find('.') != std::string::npos) line.overrides.push_back(key + "=" + value.as<std::string>());
    return line;
}

std::string help_text(const std::string& name) {
    std::ostringstream text;
    if (name.empty()) {
        text << "moesweep: which experts of a mixture-of-experts language model carry a fact\n\n";
        for (const Command& command : commands())
            text << "  moesweep " << command.usage << "\n      " << command.summary << "\n";
        text << "\n  moesweep COMMAND --help\n  moesweep --version\n\nUnder mpirun, trace divides its work over the "
                "ranks.\n"
                "Exit codes: 0 done, 75 stopped and resumable, 64 usage, 65 bad data, 74 I/O, 78 the run folder "
                "belongs to\n"
                "another configuration, 69 another live run holds it, 71 no progress (run.watchdog), 70 internal.\n";
    } else {
        const Command& command = *find_command(name);
        text << "moesweep " << command.usage << "\n  " << command.summary << "\n\n" << options_of(command);
        if (!command.settings.empty())
            text << "\nKeys are explained in configs/reference.ini. Configuration file < MOESWEEP_SECTION_KEY < "
                    "command line.\n";
    }
    return text.str();
}

}  // namespace moesweep
