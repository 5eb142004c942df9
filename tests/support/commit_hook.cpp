#include "commit_hook.h"

#include <utility>

namespace moesweep {
namespace {

CommitHook::Action current;
bool acting = false;

}  // namespace

CommitHook::CommitHook(Action action) {
    current = std::move(action);
}

CommitHook::~CommitHook() {
    current = nullptr;
}

void kill_point(CommitStep step, const std::filesystem::path& file) {
    if (!current || std::exchange(acting, true)) return;
    current(step, file);
    acting = false;
}

}  // namespace moesweep
