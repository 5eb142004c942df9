#include "commands.h"

#include <algorithm>

#include "moesweep/run/method.h"
#include "moesweep/store/store.h"
#include "moesweep/tracing/trace.h"
#include "moesweep/xici/xici.h"

namespace moesweep {
namespace {

constexpr const Method* methods[] = {&tracing_method, &xici_method};

const Method* find_method(const std::string& name) {
    const auto found = std::ranges::find(methods, name, [](const Method* method) { return std::string(method->name); });
    return found == std::end(methods) ? nullptr : *found;
}

/// The keys of all methods, each once.
std::vector<Setting> all_settings() {
    std::vector<Setting> all;
    for (const Method* method : methods)
        for (const Setting& setting : method->defaults())
            if (std::ranges::find(all, setting.key, &Setting::key) == all.end()) all.push_back(setting);
    return all;
}

Exit run_method(const Method& method, const CommandLine& line, const Comm& world) {
    return line.dry_run ? method.plan(line, world) : method.run(line, world);
}

/// plan [METHOD] CONFIG
Exit plan(CommandLine line, const Comm& world) {
    const Method* method = line.arguments.size() > 1 ? find_method(line.arguments[0]) : nullptr;
    if (method) line.arguments.erase(line.arguments.begin());
    return (method ? method : methods[0])->plan(line, world);
}

/// merge RUN: by the method that the run says it is of.
Exit merge(const CommandLine& line) {
    const Store store(line.only_argument("a run folder"));
    const std::string name = store.said("method").value_or(methods[0]->name);
    const Method* method = find_method(name);
    if (!method) fail(Exit::other_run, "{}: method: {}: not a method of this program", store.folder().string(), name);
    return method->merge(line);
}

const Flag print_config{"print-config", "print the effective configuration and stop"};

}  // namespace

const std::vector<Command>& commands() {
    static const std::vector<Command> table = [] {
        std::vector<Command> all;
        for (const Method* method : methods)
            all.push_back({.name = method->name,
                           .usage = fmt::format("{} CONFIG.ini [--section.key=value ...]", method->name),
                           .summary = method->summary,
                           .settings = method->defaults(),
                           .flags = {{"dry-run", "the same as plan"},
                                     {"verify",
                                      "hash all weights again, also files that have not changed by size and "
                                      "time"},
                                     print_config},
                           .on_every_rank = [method](const CommandLine& line, const Comm& world) {
                               return run_method(*method, line, world);
                           }});
        all.push_back({.name = "plan",
                       .usage = "plan CONFIG.ini [--section.key=value ...]",
                       .summary = "say what a run would cost, without running it",
                       .settings = all_settings(),
                       .flags = {print_config},
                       .on_every_rank = plan});
        all.push_back({.name = "merge",
                       .usage = "merge RUN [--section.key=value ...]",
                       .summary = "build the file that people read again from the units of a run",
                       .settings = all_settings(),
                       .flags = {print_config},
                       .alone = merge});
        all.push_back({.name = "report",
                       .usage = "report RUN",
                       .summary = "draw RUN/report again from the file of a run of either method",
                       .alone = report});
        all.push_back({.name = "inspect",
                       .usage = "inspect MODEL",
                       .summary = "show what a checkpoint is, and what a run on it would be refused for",
                       .alone = inspect});
        all.push_back({.name = "tokenize",
                       .usage = "tokenize MODEL TEXT...",
                       .summary = "print the token ids of each text, a line per text",
                       .flags = {{"pieces", "add each token's piece and its character offsets"},
                                 {"chat",
                                  "take each text as a question in the form of the model's chat template, behind the "
                                  "default of ask.system, and print the prompt in front"}},
                       .alone = tokenize});
        return all;
    }();
    return table;
}

const Command* find_command(const std::string& name) {
    const auto found = std::ranges::find(commands(), name, &Command::name);
    return found == commands().end() ? nullptr : &*found;
}

}  // namespace moesweep
