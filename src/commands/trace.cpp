#include <hdf5.h>
#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/ranges.h>
#include <torch/headeronly/version.h>
#include <ctime>

#include "commands.h"
#include "moesweep/run/device.h"
#include "moesweep/tracing/protocol.h"
#include "moesweep/store/run_lock.h"
#include "moesweep/base/version.h"

namespace moesweep {
namespace {

using Clock = std::chrono::steady_clock;

std::string now() {
    const std::time_t t = std::time(nullptr);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&t));
    return text;
}

std::string host_name() {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return name;
}

/// What a run was made by: the part of sweep.h5 that two runs of the same data need not share.
Attributes provenance(const CommandLine& line, const Config& config, const Inputs& inputs, const Crew& crew,
                      const std::string& started) {
    return {{"command", line.command + " " + fmt::format("{}", fmt::join(line.arguments, " "))},
            {"overrides", fmt::format("{}", fmt::join(line.overrides, " "))},
            {"config", to_ini(config)},
            {"ranks", std::to_string(crew.world.size())},
            {"ranks_to_a_model", std::to_string(crew.group.size())},
            {"weights", crew.layers->streamed() ? "streamed" : "resident"},
            {"hosts", fmt::format("{}", fmt::join(crew.world.gather_all(host_name()), " "))},
            {"notes", fmt::format("{}", fmt::join(inputs.notes, "\n"))},
            {"started", started},
            {"merged", now()},
            {"moesweep", version},
            {"torch", TORCH_VERSION},
            {"hdf5", H5_VERS_INFO}};
}

void print_summary(const Study& study, const Store& store, Progress& progress) {
    if (study.selected.layer >= 0) progress.say(fmt::format("selected layer {}", study.selected.layer));
    if (study.selected.expert >= 0) progress.say(fmt::format("selected expert {}", study.selected.expert));
    for (const auto& line : study.table1) {
        if (line.summary.n == 0) continue;
        progress.say(fmt::format("  {:<24} {:+.3f} [{:+.3f}, {:+.3f}]  n {}  p {:.4f}", line.name, line.summary.mean,
                                 line.summary.ci.low, line.summary.ci.high, line.summary.n, line.summary.p));
    }
    if (!study.note.empty()) progress.say(study.note);
    progress.say(fmt::format("wrote {}", (store.folder() / "sweep.h5").string()));
}

/// When run.max_hours are over.
Clock::time_point deadline_of(const Config& config, Clock::time_point start) {
    if (config.run.max_hours == 0) return Clock::time_point::max();
    return start +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(3600 * config.run.max_hours));
}

bool past(Clock::time_point deadline) {
    return Clock::now() > deadline;
}

Exit stopped(Progress& progress) {
    progress.say("stopped; the same command goes on");
    return Exit::stopped;
}

}  // namespace

Exit trace(const CommandLine& line, const Comm& comm) {
    const std::string started = now();
    const auto start = Clock::now();
    at::set_num_threads(1);  // a rank is one thread; more ranks use more cores
    keep_freed_memory();
    stop_requested();  // listen from here on

    // 1. The configuration
    Config config;
    comm.together([&] { config = load_config(line.only_argument("a configuration file"), line.overrides); });
    if (line.print_config) {
        if (comm.root()) fmt::print("{}", to_ini(config));
        return Exit::done;
    }
    if (line.dry_run) {
        plan(config, comm);
        return Exit::done;
    }

    // 2. Where it runs, and what it reads: model, tokenizer, facts
    Watchdog watchdog(comm, config.run.watchdog);
    watchdog.phase("opening", Watchdog::Signs::work);
    const c10::Device device = settle_device(config, comm);
    const Inputs inputs = open_inputs(config, comm, device);

    // 3. The run's folder, which belongs to this configuration and to these inputs, and to this attempt alone
    if (config.run.out.empty())
        throw SharedError(Exit::usage, "run.out: required, set it in the configuration or as --run.out=...");
    const Store store(config.run.out);
    const Digests digests = identify(config, inputs, store.folder(), line.verify, comm);
    std::optional<RunLock> lock;
    Progress progress(comm.root(), config.run.progress);
    comm.together([&] {
        if (!comm.root()) return;
        lock.emplace(store.folder(), std::chrono::seconds(3));
        store.open(config, digests.identity);
        keep_digests(store.folder(), digests);
    });
    comm.together([&] {
        if (config.run.log) progress.log_to(store.folder() / "log", comm.rank());
        for (const auto& text : bos_lines(inputs.tokenizer, config.model.bos)) progress.say("BOS: " + text);
    });
    for (const std::string& note : inputs.notes) progress.say(note);

    // 4. The ranks: who shares a model, what stays in memory
    const Ranks ranks = look_at_ranks(config, comm, device);
    Layout layout;
    comm.together([&] {
        layout = choose_layout(config, *inputs.weights, estimate(config, inputs).work, ranks);
        expect_to_fit(config, layout);
    });
    Crew crew{comm,     expert_group(comm, layout.experts), layout, nullptr, progress,
              watchdog, deadline_of(config, start)};
    comm.together([&] {
        const auto share = expert_share(inputs.model.num_experts, crew.group.rank(), crew.group.size());
        crew.layers = std::make_unique<LayerSource>(*inputs.weights, share, layout.streamed);
    });

    // 5. The scan: which cases are usable
    std::optional<Scan> done;
    comm.together([&] { done = store.read_scan(); });
    if (!done) {
        std::vector<Case> cases = scan(config, inputs, crew);
        if (cases.empty() && comm.any(stop_requested() || past(crew.deadline))) return stopped(progress);
        done = Scan{std::move(cases), describe(config, inputs, digests.identity)};
        comm.together([&] {
            if (comm.root()) store.write_scan(*done);
        });
    }
    progress.say(
        fmt::format("{} records scanned, {} cases swept", done->cases.size(), swept_cases(config, done->cases).size()));

    // 6. The sweep, unit by unit; then the same under other noise
    const std::vector<SitePlan> sites = sweep_sites(config, inputs.model);
    std::vector<Series> all = condition_series(config, store, done->cases);
    all.insert(all.begin(), main_series(config, store, done->cases));
    for (const auto& series : all)
        if (!compute_series(config, inputs, done->cases, series, sites, crew)) return stopped(progress);

    // 7. The second pass: controls of the layer and expert that the discovery half selects
    Selection selection;
    std::optional<Series> controls;
    comm.together([&] {
        const RunTables run = read_run(config, store, *done);
        selection = select_expert(config, run, static_cast<std::int32_t>(inputs.model.num_experts));
        controls = control_series(config, store, run, selection);
    });
    if (controls) {
        const auto control_rows = control_sites(config, inputs.model, selection);
        if (!compute_series(config, inputs, done->cases, *controls, control_rows, crew)) return stopped(progress);
    }

    // 8. One file, with the study's results
    watchdog.phase("merging", Watchdog::Signs::work);
    log_traffic(crew);
    const Attributes made_by = provenance(line, config, inputs, crew, started);
    comm.together([&] {
        if (comm.root()) print_summary(merge_run(config, store, made_by), store, progress);
    });
    return Exit::done;
}

}  // namespace moesweep
