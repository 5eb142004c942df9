#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>

#include "moesweep/run/layout.h"

namespace moesweep {
namespace {

/// The number in a file of one line; `otherwise` where there is none ("max", no such file).
std::int64_t number_in(const std::string& path, std::int64_t otherwise) {
    std::ifstream file(path);
    std::int64_t value = 0;
    return file >> value ? value : otherwise;
}

/// The limits of the control groups of this process and of those they lie in.
std::int64_t control_group_limit(std::int64_t least) {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // "0::/a/b" (version 2), "7:memory:/a/b" (version 1)
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!controllers.empty() && controllers.find("memory") == std::string::npos) continue;
        const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
        const char* file = controllers.empty() ? "/memory.max" : "/memory.limit_in_bytes";
        for (std::string path = line.substr(second + 1);; path.resize(path.find_last_of('/'))) {
            if (path == "/") path.clear();
            least = std::min(least, number_in(root + path + file, least));
            if (path.empty()) break;
        }
    }
    return least;
}

}  // namespace

std::int64_t available_memory() {
    const std::int64_t machine = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return control_group_limit(machine);
}

std::int64_t resident_memory() {
    std::ifstream pages("/proc/self/statm");
    std::int64_t size = 0, resident = 0;
    pages >> size >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

void keep_freed_memory() {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace moesweep
