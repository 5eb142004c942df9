#include <cstdio>
#include <optional>

#include "commands/commands.h"
#include "moesweep/version.h"

using namespace moesweep;

namespace {

Exit run(const CommandLine& line, const Comm* comm) {
    if (line.version) return fmt::print("moesweep {}\n", version), Exit::done;
    if (line.help) return fmt::print("{}", help_text(line.command)), Exit::done;
    if (comm) return trace(line, *comm);  // also plan
    if (line.command == "merge") merge(line);
    if (line.command == "inspect") inspect(line);
    if (line.command == "tokenize") tokenize(line);
    return Exit::done;
}

int report(const char* message, Exit code) {
    fmt::print(stderr, "moesweep: {}\n", message);
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
    std::optional<Comm> comm;
    try {
        const CommandLine line = parse_command_line(argc, argv);
        if ((line.command == "trace" || line.command == "plan") && !line.help) comm.emplace();
        return static_cast<int>(run(line, comm ? &*comm : nullptr));
    } catch (const SharedError& error) {  // every rank is here
        return comm->root() ? report(error.what(), error.code()) : static_cast<int>(error.code());
    } catch (const Error& error) {
        const int code = report(error.what(), error.code());
        if (comm && comm->size() > 1) comm->abort(error.code());
        return code;
    } catch (const std::exception& error) {
        const int code = report(error.what(), Exit::internal);
        if (comm && comm->size() > 1) comm->abort(Exit::internal);
        return code;
    }
}
