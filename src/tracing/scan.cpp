#include <algorithm>
#include <cmath>

#include "moesweep/tracing/protocol.h"

namespace moesweep {
namespace {

/// Refuses what the model cannot run, by name.
void check_length(const Config& config, const Case& candidate, const ModelConfig& model) {
    const auto length = static_cast<std::int64_t>(candidate.tokens.size());
    if (model.sliding_window > 0 && length > model.sliding_window)
        fail(Exit::data,
             "{}/config.json: sliding_window: {} is shorter than the {} tokens of case {}, which is not supported",
             config.model.path, model.sliding_window, length, candidate.fact.case_id);
}

/// Candidates for the next round: cases from `position` on until `wanted` of them need a run.
std::vector<Case> next_round(const Config& config, const Inputs& inputs, std::size_t& position, std::size_t wanted) {
    std::vector<Case> round;
    for (std::size_t to_run = 0; position < inputs.order.size() && to_run < wanted; ++position) {
        const std::size_t record = inputs.order[position];
        round.push_back(make_case(inputs.tokenizer, config, inputs.facts[record], static_cast<std::int32_t>(record)));
        check_length(config, round.back(), inputs.model);
        to_run += round.back().status == Status::usable;
    }
    return round;
}

/// Enters the deltas, clean and noised by turns, and what follows of them.
void judge(const Config& config, const std::vector<Case*>& candidates, const std::vector<double>& deltas) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        Case& c = *candidates[i];
        c.delta_clean = deltas[2 * i];
        c.delta_noised = deltas[2 * i + 1];
        if (!std::isfinite(c.delta_clean) || !std::isfinite(c.delta_noised))
            fail(Exit::data, "{}: case {}: the model's logits are not finite", config.model.path, c.fact.case_id);
        c.status = judge_margins(config.cases, c.delta_clean, c.delta_noised);
    }
}

/// Both deltas of the round's candidates, each rank running a share of them. False if it was left for a wish to stop.
bool run_candidates(const Config& config, const Inputs& inputs, Crew& crew, std::vector<Case>& round) {
    std::vector<Case*> candidates;
    for (auto& c : round)
        if (c.status == Status::usable) candidates.push_back(&c);
    const auto ranks = static_cast<std::size_t>(crew.world.size()), rank = static_cast<std::size_t>(crew.world.rank());
    const std::size_t begin = candidates.size() * rank / ranks, end = candidates.size() * (rank + 1) / ranks;

    PassPlan base_runs{.routing = false};
    base_runs.sites.resize(static_cast<std::size_t>(inputs.model.num_hidden_layers));
    base_runs.micro_batches =
        crew.layout.micro_batches(static_cast<std::int64_t>((candidates.size() + ranks - 1) / ranks));
    base_runs.tick = [&] { crew.watchdog.tick(); };
    base_runs.stop = stop_requested;

    std::vector<double> deltas;
    bool finished = true;
    const auto run = [&] {
        std::vector<PassCase> cases;
        for (std::size_t i = begin; i < end; ++i)
            cases.push_back(make_pass_case(config, inputs, *candidates[i], 0, {config.noise.scale, 0}));
        if (cases.empty() && crew.group.size() == 1) return;
        const auto result = run_pass({*inputs.weights, *crew.layers, crew.group}, cases, base_runs);
        finished = result.has_value();
        for (std::size_t b = 0; finished && b < cases.size(); ++b)
            deltas.insert(deltas.end(), {result->delta_clean[b], result->delta_noised[b]});
    };
    if (crew.group.size() == 1)
        crew.world.together(run);
    else
        run();  // a group walks in step: an Error here ends the run at once
    if (crew.world.any(!finished)) return false;
    const auto all = crew.world.gather_all(deltas);
    crew.world.together([&] { judge(config, candidates, all); });
    return true;
}

/// Cuts off what lies beyond the record that completes both studies; false while one is not complete.
bool complete(const Config& config, std::vector<Case>& scanned, std::size_t& usable) {
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

PassCase make_pass_case(const Config& config, const Inputs& inputs, const Case& c, std::int32_t index,
                        const Noise& noise) {
    // torch's CPU generator keeps the low 32 bits of a seed: 2^22 holds the case ids, and 1000 draws still fit above them.
    const std::int64_t seed = config.noise.seed + c.fact.case_id + (std::int64_t{noise.draw} << 22);
    return {&c, index,
            subject_noise(c.subject_end - c.subject_begin, inputs.model.hidden_size, noise.scale * inputs.embedding_std,
                          seed)};
}

std::vector<Case> scan(const Config& config, const Inputs& inputs, Crew& crew) {
    const std::int64_t limit =
        config.cases.limit == 0 ? static_cast<std::int64_t>(inputs.facts.size()) : config.cases.limit;
    const auto ranks = static_cast<std::size_t>(crew.world.size()),
               most = ranks * static_cast<std::size_t>(crew.layout.scan_cases);
    std::vector<Case> scanned;
    std::size_t usable = 0, position = 0;
    crew.watchdog.phase("scan");
    crew.progress.begin("usable cases", 0, limit);
    while (!complete(config, scanned, usable) && position < inputs.order.size()) {
        if (crew.world.any(stop_requested() || std::chrono::steady_clock::now() > crew.deadline)) return {};
        // Somewhat more than is still wanted, since some will not be usable; the surplus is dropped.
        const auto missing = static_cast<std::size_t>(std::max(limit, config.scale_up.limit)) - usable;
        const std::size_t wanted = std::clamp(missing * 5 / 4, std::min(8 * ranks, most), most);
        std::vector<Case> round;
        crew.world.together([&] { round = next_round(config, inputs, position, wanted); });
        if (!run_candidates(config, inputs, crew, round)) return {};
        std::move(round.begin(), round.end(), std::back_inserter(scanned));
        crew.progress.update(static_cast<std::int64_t>(usable), 0, 0);
    }
    crew.watchdog.phase("scanned", Watchdog::Signs::work);
    crew.progress.update(static_cast<std::int64_t>(usable), 0, 0);
    crew.progress.end();
    return scanned;
}

}  // namespace moesweep
