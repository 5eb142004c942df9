// Runs work that ends its process in a child. Include Catch2 first.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

struct Outcome {
    int status = 0;  ///< as waitpid returns it
    std::string said;
};

/// Runs `work` in a child process and collects its stderr.
template <class Work>
Outcome in_a_process(Work work) {
    std::array<int, 2> pipe_ends;
    REQUIRE(::pipe(pipe_ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::dup2(pipe_ends[1], STDERR_FILENO);
        work();
        ::_exit(0);
    }
    ::close(pipe_ends[1]);
    Outcome outcome;
    std::array<char, 256> piece;
    for (ssize_t n; (n = ::read(pipe_ends[0], piece.data(), piece.size())) > 0;)
        outcome.said.append(piece.data(), static_cast<std::size_t>(n));
    ::close(pipe_ends[0]);
    REQUIRE(::waitpid(child, &outcome.status, 0) == child);
    return outcome;
}
