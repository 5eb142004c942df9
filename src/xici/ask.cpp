#include "moesweep/xici/ask.h"

#include <algorithm>
#include <ranges>

#include "moesweep/base/files.h"
#include "moesweep/engine/decode.h"
#include "moesweep/model/router.h"
#include "moesweep/xici/estimate.h"
#include "moesweep/xici/tables.h"

namespace moesweep {
namespace {

UnitSet unit_set(const char* title, const Store& store, std::size_t trials, std::int64_t unit) {
    return {title, store, (static_cast<std::int64_t>(trials) + unit - 1) / unit};
}

/// What distinguishes a series of trials from others of the run.
std::string digest(const XiciConfig& config, const std::vector<ExpertSet>& trials) {
    std::string text = fmt::format("{}\n", static_cast<int>(config.deactivate.by));
    for (const ExpertSet& trial : trials) {
        text += fmt::format("{}:", trial.question);
        for (const auto& [layer, expert] : trial.experts) text += fmt::format(" {}.{}", layer, expert);
        text += '\n';
    }
    return sha256(text).substr(0, 16);
}

/// A sequence of an assignment: one language of a trial.
struct Place {
    std::int32_t trial;
    std::int32_t language;
};

/// Mean gate weights of the MoE layers.
void append_means(const GateWeights& weights, const ModelConfig& model, std::vector<float>& column) {
    const auto E = static_cast<std::size_t>(model.router.num_experts);
    const double tokens = static_cast<double>(std::max<std::int64_t>(weights.tokens, 1));
    for (std::size_t l = 0; l < model.is_moe.size(); ++l) {
        if (!model.is_moe[l]) continue;
        for (std::size_t e = 0; e < E; ++e) column.push_back(static_cast<float>(weights.sum[l * E + e] / tokens));
    }
}

std::int32_t pairs_of(const ModelConfig& model) {
    return static_cast<std::int32_t>(std::ranges::count(model.is_moe, true) * model.router.num_experts);
}

/// The answer's text as a column holds it: without zero bytes, which pad it.
std::string text_of(const Tokenizer& tokenizer, const std::vector<std::int32_t>& tokens) {
    std::string text;
    for (const char c : tokenizer.decode(tokens, /*skip_special=*/true)) text += c ? std::string(1, c) : "\uFFFD";
    return text;
}

TrialUnit tables_of(const std::vector<Place>& places, const std::vector<Answer>& answers, const ModelInputs& model) {
    TrialUnit unit;
    unit.capture.pairs = pairs_of(model.config);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto [trial, language] = places[i];
        const Answer& answer = answers[i];
        unit.answers.trial.push_back(trial);
        unit.answers.language.push_back(language);
        unit.answers.text.push_back(text_of(model.tokenizer, answer.tokens));
        unit.answers.stopped.push_back(answer.stopped);
        unit.answers.tokens.push_back(static_cast<std::int32_t>(answer.tokens.size()));
        unit.answers.disobeyed.push_back(answer.disobeyed);
        for (std::size_t t = 0; t < answer.tokens.size(); ++t) {
            unit.answer_tokens.trial.push_back(trial);
            unit.answer_tokens.language.push_back(language);
            unit.answer_tokens.place.push_back(static_cast<std::int32_t>(t));
            unit.answer_tokens.token.push_back(answer.tokens[t]);
            unit.answer_tokens.gap.push_back(answer.gaps[t]);
        }
        if (answer.of_prompt.sum.empty()) continue;
        unit.capture.trial.push_back(trial);
        unit.capture.language.push_back(language);
        unit.capture.prompt_tokens.push_back(static_cast<std::int32_t>(answer.of_prompt.tokens));
        unit.capture.answer_tokens.push_back(static_cast<std::int32_t>(answer.of_answer.tokens));
        append_means(answer.of_prompt, model.config, unit.capture.prompt);
        append_means(answer.of_answer, model.config, unit.capture.answer);
    }
    return unit;
}

/// Refuses trials that leave a layer too few experts, by name.
void expect_experts_left(const Asking& asking, const ModelConfig& model, const TrialSeries& series) {
    for (const ExpertSet& trial : series.trials) {
        for (auto first = trial.experts.begin(); first != trial.experts.end();) {
            std::vector<bool> banned(static_cast<std::size_t>(model.router.num_experts));
            const std::int32_t layer = first->layer;
            for (; first != trial.experts.end() && first->layer == layer; ++first)
                banned[static_cast<std::size_t>(first->expert)] = true;
            const std::int64_t left = choosable_experts(model.router, banned);
            if (left < model.router.num_experts_per_tok)
                fail(Exit::usage,
                     "identify.cap, deactivate.caps: question {}: {} experts of layer {} are to be deactivated, which "
                     "leaves {} to "
                     "choose {} from",
                     asking.questions[static_cast<std::size_t>(trial.question)].id, std::ranges::count(banned, true),
                     layer, left, model.router.num_experts_per_tok);
        }
    }
}

}  // namespace

ItemRange TrialSeries::items(std::int64_t unit, std::int64_t trials_of_unit) const {
    const auto begin = static_cast<std::int32_t>(unit * trials_of_unit),
               end = std::min(static_cast<std::int32_t>((unit + 1) * trials_of_unit),
                              static_cast<std::int32_t>(trials.size()));
    return {first + begin, first + end};
}

TrialSeries asked_series(const XiciConfig& config, const Store& store, const Asking& asking) {
    std::vector<ExpertSet> trials;
    for (std::int32_t q = 0; q < std::ssize(asking.questions); ++q) trials.push_back({q, {}});
    return {unit_set("units", store, trials.size(), config.run.unit), std::move(trials)};
}

TrialSeries deactivated_series(const XiciConfig& config, const Store& store, const Asking& asking,
                               std::vector<ExpertSet> trials) {
    const Store own = store.series("deactivated-" + digest(config, trials));
    return {unit_set("deactivated: units", own, trials.size(), config.run.unit), std::move(trials),
            static_cast<std::int32_t>(asking.questions.size())};
}

std::optional<std::vector<Answer>> answer_prompts(Job& job, const Assignment& assignment, const DecodeLoad& load,
                                                  const std::vector<Prompt>& prompts, DecodePlan plan) {
    std::int64_t all_rows = 0;
    for (const Prompt& prompt : prompts) all_rows += cache_rows_of(std::ssize(prompt.tokens), load.max_tokens);
    plan.max_tokens = load.max_tokens;
    plan.cache_rows = std::min(all_rows, job.layout.items_in_flight * load.cache_rows);
    plan.step_rows = job.layout.items_per_micro_batch * load.work.rows();
    plan.control = assignment.control;
    return decode({*job.model.weights, *job.layers, *job.group}, prompts, plan, &job.traffic);
}

bool compute_trials(const XiciConfig& config, Job& job, const Asking& asking,
                    const std::vector<std::int32_t>& stop_tokens, const TrialSeries& series) {
    job.world.together([&] { expect_experts_left(asking, job.model.config, series); });
    const DecodeLoad load = load_of(config, *job.model.weights, asking);
    const DecodePlan plan{
        .stop_tokens = stop_tokens, .deactivate_by = config.deactivate.by, .capture = series.first == 0, .control = {}};
    return compute_units(job, series.units, [&](const Assignment& assignment) -> Commit {
        std::vector<Place> places;
        std::vector<Prompt> prompts;
        for (const auto unit : assignment.units) {
            const auto [begin, end] = series.items(unit, config.run.unit);
            for (std::int32_t t = begin; t < end; ++t) {
                const ExpertSet& trial = series.trials[static_cast<std::size_t>(t - series.first)];
                const auto question = static_cast<std::size_t>(trial.question);
                for (std::size_t v = 0; v < asking.prompts[question].size(); ++v) {
                    places.push_back({t, asking.language_of(asking.questions[question].variants[v])});
                    prompts.push_back({asking.prompts[question][v], trial.experts});
                }
            }
        }
        const auto answers = answer_prompts(job, assignment, load, prompts, plan);
        if (!answers) return {};
        return [&, units = assignment.units, pass = tables_of(places, *answers, job.model)] {
            for (const auto unit : units)
                series.units.store.write_unit(unit, part_of(pass, series.items(unit, config.run.unit)));
        };
    });
}

}  // namespace moesweep
