// The moments of a file's commit at which a test may kill the process. kill_point() does nothing in moesweep itself
// (src/base/kill_point.cpp); moesweep_killable, built with the tests, links one that kills (tests/tools/kill_point.cpp).
#pragma once
#include <filesystem>

namespace moesweep {

enum class CommitStep {
    begun,     ///< nothing done yet
    opened,    ///< the temporary file is there, empty or with a part of its content
    written,   ///< with all of it, as far as this process is concerned
    synced,    ///< and on the disk
    renamed,   ///< under its final name
    finished,  ///< with the folder synced: committed
};
inline constexpr const char* commit_step_names[] = {"begun", "opened", "written", "synced", "renamed", "finished"};

/// `file` is the final name, not the temporary one.
void kill_point(CommitStep step, const std::filesystem::path& file);

}  // namespace moesweep
