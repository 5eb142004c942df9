#include "commands.h"
#include "moesweep/base/files.h"
#include "moesweep/tracing/protocol.h"
#include "moesweep/store/run_lock.h"
#include "moesweep/base/version.h"

namespace moesweep {

void merge(const CommandLine& line) {
    const Store store(line.only_argument("a run folder"));
    const std::string file = (store.folder() / "config.ini").string();
    const Config config = load_config(file, line.overrides);
    if (line.print_config) {
        fmt::print("{}", to_ini(config));
        return;
    }
    const auto of_run = settings(parse_config(read_file(file), file)), wanted = settings(config);
    for (std::size_t i = 0; i < of_run.size(); ++i)
        if (is_identity(of_run[i].key) && of_run[i].value != wanted[i].value)
            fail(Exit::other_run, "{}: {}: the units were computed with {}, not {}", store.folder().string(),
                 of_run[i].key, of_run[i].value, wanted[i].value);

    const RunLock lock(store.folder(), std::chrono::milliseconds(0));  // a live run merges by itself
    const Study study = merge_run(config, store, {{"command", "merge"}, {"moesweep", version}});
    fmt::print("wrote {}\n", (store.folder() / "sweep.h5").string());
    if (!study.note.empty()) fmt::print("{}\n", study.note);
}

}  // namespace moesweep
