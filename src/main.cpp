#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>

#include "commands/commands.h"
#include "moesweep/base/version.h"

using namespace moesweep;

namespace {

/// Under mpirun every rank finds the same mistake in the same arguments: MPI is started so that one of them says it.
CommandLine parse_on_every_rank(int argc, const char* const* argv, std::optional<Comm>& comm) {
    try {
        return parse_command_line(argc, argv);
    } catch (const Error& error) {
        comm.emplace();
        throw SharedError(error.code(), error.what());
    }
}

/// Of several processes that a launcher started, all run the commands that divide work, and one speaks for the others.
Exit run(const CommandLine& line, std::optional<Comm>& comm) {
    const Command* command = find_command(line.command);
    if (command && command->on_every_rank && !line.help) {
        comm.emplace();
        return command->on_every_rank(line, *comm);
    }
    if (!Comm::is_first_task()) return Exit::done;
    if (line.version) return fmt::print("moesweep {}\n", version), Exit::done;
    if (line.help) return fmt::print("{}", help_text(line.command)), Exit::done;
    return command->alone(line);
}

/// A lost answer must not pass for an empty one.
void expect_output_written() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
        fail(Exit::io, "standard output: not all of it could be written");
}

/// One line, whatever control characters a file's name or content has brought into the message. Where it cannot be
/// written, the exit code alone must say it.
int say(std::string_view message, Exit code) {
    std::string line;
    for (const char c : message) {
        const auto byte = static_cast<unsigned char>(c);
        line += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
    }
    std::fputs(fmt::format("moesweep: {}\n", line).c_str(), stderr);
    return static_cast<int>(code);
}

/// For an error that the other ranks do not know of.
int say_alone(std::string_view message, Exit code, const std::optional<Comm>& comm) {
    say(message, code);
    if (comm && comm->size() > 1) comm->abort(code);
    return static_cast<int>(code);
}

int run_program(int argc, const char* const* argv) {
    std::optional<Comm> comm;
    try {
        const CommandLine line = parse_on_every_rank(argc, argv, comm);
        const Exit code = run(line, comm);
        expect_output_written();
        return static_cast<int>(code);
    } catch (const SharedError& error) {  // every rank is here
        const bool first = comm ? comm->root() : Comm::is_first_task();
        return first ? say(error.what(), error.code()) : static_cast<int>(error.code());
    } catch (const Error& error) {
        return say_alone(error.what(), error.code(), comm);
    } catch (const std::system_error& error) {  // of a stream or the file system
        return say_alone(error.what(), Exit::io, comm);
    } catch (const std::exception& error) {
        return say_alone(error.what(), Exit::internal, comm);
    }
}

/// Ends the process without the destructors of static objects: libtorch's take half as long as its loading, at each
/// start of the program. What is ours is gone by now. Sanitizers look for leaks and races on the ordinary way out.
[[noreturn]] void leave(int code) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    std::exit(code);
#else
    std::fflush(stdout);
    std::quick_exit(code);
#endif
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an Error as a full disk is, not a death
    leave(run_program(argc, argv));
}
