#include <algorithm>
#include <cmath>

#include "moesweep/protocol.h"

namespace moesweep {
namespace {

constexpr std::size_t most_per_pass = 128;  // candidates a rank takes at a time: bounds its memory

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

/// Both deltas of the round's candidates, each rank running a share of them.
void run_candidates(const Config& config, const Inputs& inputs, const Comm& comm, std::vector<Case>& round) {
    std::vector<Case*> candidates;
    for (auto& c : round)
        if (c.status == Status::usable) candidates.push_back(&c);
    const auto share = [&](int rank) {
        return candidates.size() * static_cast<std::size_t>(rank) / static_cast<std::size_t>(comm.size());
    };
    const std::vector<SitePlan> no_rows(static_cast<std::size_t>(inputs.model.num_hidden_layers));
    const PassPlan base_runs{no_rows, Vectors::none, /*routing=*/false, {}};

    std::vector<double> deltas;
    comm.together([&] {
        for (std::size_t begin = share(comm.rank()), end = share(comm.rank() + 1); begin < end;) {
            std::vector<PassCase> cases;
            for (; begin < end && cases.size() < most_per_pass; ++begin)
                cases.push_back(make_pass_case(config, inputs, *candidates[begin], 0, {config.noise.scale, 0}));
            const PassResult result = run_pass(inputs.model, *inputs.weights, cases, base_runs);
            for (std::size_t b = 0; b < cases.size(); ++b)
                deltas.insert(deltas.end(), {result.delta_clean[b], result.delta_noised[b]});
        }
    });
    const auto all = comm.gather_all(deltas);
    comm.together([&] { judge(config, candidates, all); });
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

std::vector<Case> scan(const Config& config, const Inputs& inputs, const Comm& comm, Progress& progress) {
    const std::int64_t limit =
        config.cases.limit == 0 ? static_cast<std::int64_t>(inputs.facts.size()) : config.cases.limit;
    const auto ranks = static_cast<std::size_t>(comm.size());
    std::vector<Case> scanned;
    std::size_t usable = 0, position = 0;
    progress.begin("usable cases", 0, limit);
    while (!complete(config, scanned, usable) && position < inputs.order.size()) {
        if (comm.any(stop_requested())) return {};
        // Somewhat more than is still wanted, since some will not be usable; the surplus is dropped.
        const auto missing = static_cast<std::size_t>(std::max(limit, config.scale_up.limit)) - usable;
        const std::size_t wanted = std::clamp(missing * 5 / 4, 8 * ranks, most_per_pass * ranks);
        std::vector<Case> round;
        comm.together([&] { round = next_round(config, inputs, position, wanted); });
        run_candidates(config, inputs, comm, round);
        std::move(round.begin(), round.end(), std::back_inserter(scanned));
        progress.update(static_cast<std::int64_t>(usable), 0, 0);
    }
    progress.update(static_cast<std::int64_t>(usable), 0, 0);
    progress.end();
    return scanned;
}

}  // namespace moesweep
