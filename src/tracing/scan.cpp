#include "moesweep/tracing/scan.h"

#include <algorithm>
#include <cmath>

#include "moesweep/run/stop.h"
#include "moesweep/tracing/noise.h"

namespace moesweep {
namespace {

/// Refuses what the model cannot run, by name.
void check_length(const TracingConfig& config, const Case& candidate, const ModelConfig& model) {
    const auto length = static_cast<std::int64_t>(candidate.tokens.size());
    if (model.sliding_window > 0 && length > model.sliding_window)
        fail(Exit::data,
             "{}/config.json: sliding_window: {} is shorter than the {} tokens of case {}, which is not supported",
             config.model.path, model.sliding_window, length, candidate.fact.case_id);
}

/// Candidates for the next round: cases from `position` on until `wanted` of them need a run.
std::vector<Case> next_round(const TracingConfig& config, const ModelConfig& model, CaseSource& source,
                             std::size_t& position, std::size_t wanted) {
    std::vector<Case> round;
    for (std::size_t to_run = 0; position < source.size() && to_run < wanted; ++position) {
        round.push_back(source.at(position));
        check_length(config, round.back(), model);
        to_run += round.back().status == Status::usable;
    }
    return round;
}

/// Enters the deltas, clean and noised by turns, and what follows of them.
void judge(const TracingConfig& config, const std::vector<Case*>& candidates, const std::vector<double>& deltas) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        Case& c = *candidates[i];
        c.delta_clean = deltas[2 * i];
        c.delta_noised = deltas[2 * i + 1];
        if (!std::isfinite(c.delta_clean) || !std::isfinite(c.delta_noised))
            fail(Exit::data, "{}: case {}: the model's logits are not finite", config.model.path, c.fact.case_id);
        c.status = judge_margins(config.cases, c.delta_clean, c.delta_noised);
    }
}

/// Both deltas of the round's candidates, each rank running a share of them. False if a rank was asked to stop.
bool run_candidates(const TracingConfig& config, Job& job, std::vector<Case>& round) {
    std::vector<Case*> candidates;
    for (auto& c : round)
        if (c.status == Status::usable) candidates.push_back(&c);
    const auto ranks = static_cast<std::size_t>(job.world.size()), rank = static_cast<std::size_t>(job.world.rank());
    const std::size_t begin = candidates.size() * rank / ranks, end = candidates.size() * (rank + 1) / ranks;

    PassPlan base_runs{.routing = false};
    base_runs.sites.resize(static_cast<std::size_t>(job.model.config.num_hidden_layers));
    base_runs.micro_batches =
        job.layout.micro_batches(static_cast<std::int64_t>((candidates.size() + ranks - 1) / ranks));
    base_runs.control.tick = [&] { job.watchdog.tick(); };
    base_runs.control.stop = stop_requested;

    std::vector<double> deltas;
    bool finished = true;
    const auto run = [&] {
        std::vector<PassCase> cases;
        for (std::size_t i = begin; i < end; ++i)
            cases.push_back(make_pass_case(config.noise, job.model, *candidates[i], 0, {config.noise.scale, 0}));
        if (cases.empty() && job.group->size() == 1) return;
        const auto result = run_pass({*job.model.weights, *job.layers, *job.group}, cases, base_runs);
        finished = result.has_value();
        for (std::size_t b = 0; finished && b < cases.size(); ++b)
            deltas.insert(deltas.end(), {result->delta_clean[b], result->delta_noised[b]});
    };
    if (job.group->size() == 1)
        job.world.together(run);
    else
        run();  // a group walks in step: an Error here ends the run at once
    if (job.world.any(!finished)) return false;
    const auto all = job.world.gather_all(deltas);
    job.world.together([&] { judge(config, candidates, all); });
    return true;
}

/// Cuts off what lies beyond the record that completes both studies; false while one is not complete.
bool complete(const TracingConfig& config, std::vector<Case>& scanned, std::size_t& usable) {
    const auto strict = study_cases(config, scanned), relaxed = relaxed_cases(config, scanned);
    usable = strict.size();
    const auto full = [](const std::vector<std::int32_t>& members, std::int64_t limit) {
        return static_cast<std::int64_t>(members.size()) == limit;
    };
    if (config.cases.limit == 0 || !full(strict, config.cases.limit) || !full(relaxed, config.scale_up.limit))
        return false;
    scanned.resize(static_cast<std::size_t>(std::max(strict.back(), relaxed.empty() ? 0 : relaxed.back()) + 1));
    return true;
}

}  // namespace

std::vector<Case> scan(const TracingConfig& config, Job& job, CaseSource& source) {
    const std::int64_t limit = config.cases.limit == 0 ? static_cast<std::int64_t>(source.size()) : config.cases.limit;
    const auto ranks = static_cast<std::size_t>(job.world.size()),
               most = ranks * static_cast<std::size_t>(job.layout.items_per_base_pass);
    std::vector<Case> scanned;
    std::size_t usable = 0, position = 0;
    job.watchdog.phase("scan");
    job.progress.begin("usable cases", 0, limit);
    while (!complete(config, scanned, usable) && position < source.size()) {
        if (job.should_stop()) return {};
        // Somewhat more than is still wanted, since some will not be usable; the surplus is dropped.
        const auto missing = static_cast<std::size_t>(std::max(limit, config.scale_up.limit)) - usable;
        const std::size_t wanted = std::clamp(missing * 5 / 4, std::min(8 * ranks, most), most);
        std::vector<Case> round;
        job.world.together([&] { round = next_round(config, job.model.config, source, position, wanted); });
        if (!run_candidates(config, job, round)) return {};
        std::move(round.begin(), round.end(), std::back_inserter(scanned));
        job.progress.update(static_cast<std::int64_t>(usable), 0, 0);
    }
    job.watchdog.phase("scanned", Watchdog::Signs::work);
    job.progress.update(static_cast<std::int64_t>(usable), 0, 0);
    job.progress.end();
    return scanned;
}

}  // namespace moesweep
