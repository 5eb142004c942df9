#include "commands.h"
#include "moesweep/protocol.h"
#include "moesweep/version.h"

namespace moesweep {

void merge(const CommandLine& line) {
    const Store store(line.only_argument("a run folder"));
    Config config = load_config((store.folder() / "config.ini").string(), line.overrides);
    for (const auto& [key, value] : settings(parse_config(to_ini(config), "")))
        (void)key, (void)value;
    const Study study = merge_run(config, store, {{"command", "merge"}, {"moesweep", version}});
    fmt::print("wrote {}\n", (store.folder() / "sweep.h5").string());
    if (!study.note.empty()) fmt::print("{}\n", study.note);
}

}  // namespace moesweep
