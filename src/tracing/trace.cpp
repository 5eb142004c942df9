#include "moesweep/tracing/trace.h"

#include <fmt/ranges.h>

#include "moesweep/base/version.h"
#include "moesweep/run/plan.h"
#include "moesweep/tracing/estimate.h"
#include "moesweep/tracing/merge.h"
#include "moesweep/tracing/scan.h"

namespace moesweep {
namespace {

std::vector<Setting> defaults() {
    return settings(TracingConfig{});
}

/// What a tracing run is known by.
MethodIdentity identity_of(const TracingConfig& config) {
    return {tracing_method.name, "trace",        settings(config), defaults(),
            to_ini(config),      "facts_sha256", config.cases.path};
}

CaseSource open_cases(const TracingConfig& config, const Job& job) {
    std::optional<CaseSource> source;
    job.world.together([&] {
        sweep_sites(config, job.model.config);  // refuses layers that the model has not
        source.emplace(config, job.model.tokenizer);
    });
    return std::move(*source);
}

/// What the discovery half selects and the second pass patches: root reads the sweep, and tells all.
struct SecondPass {
    Selection selection;
    std::optional<Series> series;
};

SecondPass choose_second_pass(const TracingConfig& config, const Job& job, const Scan& scan) {
    std::vector<std::int64_t> message;  // layer, expert, then the pair of each member, -1 for none
    job.world.together([&] {
        if (!job.world.root()) return;
        const StudyData data = read_sweep(config, job.store, scan);
        const Selection selection = select_expert(config, data);
        message = {selection.layer, selection.expert};
        if (!config.controls.equal_norm || selection.expert < 0) return;
        for (const auto& pair : matched_pairs(cases_with(scan.cases, &Case::split), data.sweep, selection)) {
            message.push_back(pair ? (*pair)[0] : -1);
            message.push_back(pair ? (*pair)[1] : -1);
        }
    });
    message = job.world.broadcast(message);
    SecondPass pass{{static_cast<std::int32_t>(message[0]), static_cast<std::int32_t>(message[1])}, {}};
    pass.series = control_series(config, job.store, scan.cases, pass.selection);
    for (std::size_t i = 2; pass.series && i < message.size(); i += 2) {
        auto& pair = pass.series->pairs.emplace_back();
        if (message[i] >= 0) pair = {static_cast<std::int32_t>(message[i]), static_cast<std::int32_t>(message[i + 1])};
    }
    return pass;
}

void print_summary(const Study& study, Job& job) {
    Progress& progress = job.progress;
    if (study.selected.layer >= 0) progress.say(fmt::format("selected layer {}", study.selected.layer));
    if (study.selected.expert >= 0) progress.say(fmt::format("selected expert {}", study.selected.expert));
    for (const auto& line : study.main_results) {
        if (line.summary.n == 0) continue;
        progress.say(fmt::format("  {:<24} {:+.3f} [{:+.3f}, {:+.3f}]  n {}  p {:.4f}", line.name, line.summary.mean,
                                 line.summary.ci.low, line.summary.ci.high, line.summary.n, line.summary.p));
    }
    if (!study.note.empty()) progress.say(study.note);
    progress.say(fmt::format("wrote {}", (job.store.folder() / "sweep.h5").string()));
}

Exit trace(const CommandLine& line, const Comm& world) {
    // 1. The configuration, and what a run reads: model, tokenizer, facts
    auto config = read_configuration<TracingConfig>(line, world);
    if (!config) return Exit::done;
    Job job(world, *config);
    CaseSource source = open_cases(*config, job);

    // 2. The run's folder, and how far it is; who does what
    job.claim_folder(identity_of(*config), line.verify);
    std::optional<Scan> done;
    Workload work;
    world.together([&] {
        done = read_scan(job.store, *config);
        const Prompts prompts = done ? prompts_of_swept(done->cases) : prompts_to_come(*config, source);
        work = estimate(*config, job.model.config, prompts).work;
    });
    job.lay_out(work);

    // 3. The scan: which cases are usable
    if (!done) {
        std::vector<Case> cases = scan(*config, job, source);
        if (cases.empty() && job.should_stop()) return job.stopped();
        done = Scan{std::move(cases), describe(*config, job)};
        split_cases(*config, done->cases);
        world.together([&] {
            if (world.root()) write_scan(job.store, *done);
        });
    }
    const auto& cases = done->cases;
    job.progress.say(fmt::format("{} records scanned, {} cases swept", cases.size(), swept_cases(cases).size()));

    // 4. The sweep, unit by unit; then the same under other noise
    const std::vector<SitePlan> sites = sweep_sites(*config, job.model.config);
    std::vector<Series> all = condition_series(*config, job.store, cases);
    all.insert(all.begin(), main_series(*config, job.store, cases));
    for (const Series& series : all)
        if (!compute_series(*config, job, cases, series, sites)) return job.stopped();

    // 5. The second pass: controls of the layer and expert that the discovery half selects
    const auto [selection, controls] = choose_second_pass(*config, job, *done);
    if (controls) {
        const auto control_rows = control_sites(*config, job.model.config, selection);
        if (!compute_series(*config, job, cases, *controls, control_rows)) return job.stopped();
    }

    // 6. One file, with the study's results
    job.watchdog.phase("merging", Watchdog::Signs::work);
    log_traffic(job);
    const std::string command = fmt::format("{} {}", line.command, fmt::join(line.arguments, " "));
    Attributes made_by = provenance(job, command, line.overrides);
    made_by.emplace_back("config", to_ini(*config));
    world.together([&] {
        if (world.root()) print_summary(merge_run(*config, job.store, made_by), job);
    });
    return Exit::done;
}

void print_cost(const Cost& cost) {
    const auto line = print_plan_line;
    line("cases", fmt::format("{} at most ({} tokens on average, {} at most)", cost.prompts.cases,
                              cost.prompts.mean_tokens, cost.prompts.max_tokens));
    if (cost.sweeps > 1) line("noise conditions", fmt::format("{}, each swept", cost.sweeps));
    line("block rows", std::to_string(cost.blocks));
    line("expert rows", cost.experts_least == cost.experts_most
                            ? std::to_string(cost.experts_least)
                            : fmt::format("{} to {}, by how much the noise changes the routing", cost.experts_least,
                                          cost.experts_most));
    line("coalition rows", std::to_string(cost.coalitions));
    if (cost.subsets > 0) line("subset rows", std::to_string(cost.subsets));
    line("row-layers", fmt::format("{} at most", cost.row_layers));
    line("arithmetic", fmt::format("{:.3g} FLOP at most", cost.flops));
    line("sweep.h5", fmt::format("{} at most", bytes_text(cost.file_bytes)));
}

Exit plan(const CommandLine& line, const Comm& world) {
    auto config = read_configuration<TracingConfig>(line, world);
    if (!config) return Exit::done;
    Job job(world, *config);
    CaseSource source = open_cases(*config, job);
    Cost cost;
    print_model(job);
    world.together([&] {
        cost = estimate(*config, job.model.config, prompts_to_come(*config, source));
        if (world.root()) print_cost(cost);
    });
    print_layout(job, cost.work, "cases");
    return Exit::done;
}

Exit merge(const CommandLine& line) {
    const Store store(line.only_argument("a run folder"));
    const auto config = read_configuration_of<TracingConfig>(store.folder().string(), line);
    if (!config) return Exit::done;
    const RunLock lock(store.folder(), std::chrono::milliseconds(0));  // a live run merges by itself
    const Attributes made_by = {{"command", "merge"}, {"config", to_ini(*config)}, {"moesweep", version}};
    const Study study = merge_run(*config, store, made_by);
    fmt::print("wrote {}\n", (store.folder() / "sweep.h5").string());
    if (!study.note.empty()) fmt::print("{}\n", study.note);
    return Exit::done;
}

}  // namespace

const Method tracing_method = {
    "trace", "scan the facts, sweep every (layer, expert), write RUN/sweep.h5", defaults, trace, plan, merge};

}  // namespace moesweep
