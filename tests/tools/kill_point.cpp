// The kill_point() of moesweep_killable. MOESWEEP_KILL_AT="<file> <step>:<k>" kills the process by SIGKILL at its k-th
// visit to that step of a file whose path ends in <file>; MOESWEEP_KILL_AT=list prints the names of all steps, then
// every visit.
#include "moesweep/base/kill_point.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace moesweep {
namespace {

const std::string& wanted() {
    static const std::string text = [] {
        const char* value = std::getenv("MOESWEEP_KILL_AT");
        return std::string(value ? value : "");
    }();
    return text;
}

void list(std::string_view here) {
    static const int once = (fmt::print(stderr, "kill steps: {}\n", fmt::join(commit_step_names, " ")), 0);
    static_cast<void>(once);
    fmt::print(stderr, "kill point: {}\n", here);
}

}  // namespace

void kill_point(CommitStep step, const std::filesystem::path& file) {
    const std::string here = fmt::format("{} {}", file.string(), commit_step_names[static_cast<int>(step)]);
    if (wanted() == "list") return list(here);
    const std::size_t colon = wanted().rfind(':');
    if (colon == std::string::npos || !here.ends_with(std::string_view(wanted()).substr(0, colon))) return;
    static int times = 0;
    if (++times == std::atoi(wanted().c_str() + colon + 1)) std::raise(SIGKILL);
}

}  // namespace moesweep
