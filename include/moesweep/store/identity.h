// What a run is: two runs of the same identity compute the same bits. RUN/identity.ini says it in text, a `key = value`
// a line, and every file of the run carries that text.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace moesweep {

struct IdentityLine {
    std::string key, value;
    /// What the run of an older program had that says nothing of the key: its default. None: not known, and such a run
    /// is not asked.
    std::optional<std::string> before = {};
};
using Identity = std::vector<IdentityLine>;

}  // namespace moesweep
