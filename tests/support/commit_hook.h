// Lets a test act in the middle of a commit: this program's kill_point() calls it.
#pragma once
#include <filesystem>
#include <functional>

#include "moesweep/base/kill_point.h"

namespace moesweep {

/// Calls its function at every kill point while it lives. One at a time; not reentrant.
class CommitHook {
  public:
    using Action = std::function<void(CommitStep, const std::filesystem::path&)>;
    explicit CommitHook(Action action);
    ~CommitHook();
    CommitHook(const CommitHook&) = delete;
    CommitHook& operator=(const CommitHook&) = delete;
};

}  // namespace moesweep
