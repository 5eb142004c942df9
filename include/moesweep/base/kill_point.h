// The steps of a file's commit at which a test may kill the process. kill_point() does nothing in moesweep itself
// (src/base/kill_point.cpp); moesweep_killable, built with the tests, links one that does (tests/tools/kill_point.cpp).
#pragma once
#include <filesystem>

namespace moesweep {

enum class CommitStep {
    begun,     ///< nothing done yet
    opened,    ///< the temporary file exists, empty or with a part of its content
    written,   ///< all of it has been written
    synced,    ///< and is on the disk
    renamed,   ///< the file has its final name
    finished,  ///< the folder is synced: committed
};
inline constexpr const char* commit_step_names[] = {"begun", "opened", "written", "synced", "renamed", "finished"};

/// `file` is the final name, not the temporary one.
void kill_point(CommitStep step, const std::filesystem::path& file);

}  // namespace moesweep
