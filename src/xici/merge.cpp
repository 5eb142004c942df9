#include "moesweep/xici/merge.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "moesweep/base/version.h"
#include "moesweep/store/merged_file.h"
#include "moesweep/text/bos.h"
#include "moesweep/xici/rater.h"
#include "moesweep/xici/tables.h"
#include "results/results.h"

namespace moesweep {
namespace {

ResultTable trials_table(const Asking& asking, const std::vector<ExpertSet>& sets) {
    std::vector<std::int32_t> questions, experts;
    for (std::int32_t q = 0; q < std::ssize(asking.questions); ++q) {
        questions.push_back(q);
        experts.push_back(0);
    }
    for (const ExpertSet& set : sets) {
        questions.push_back(set.question);
        experts.push_back(static_cast<std::int32_t>(set.experts.size()));
    }
    return {"trials",
            "",
            {{"question", "", "index into /questions", std::move(questions)},
             {"experts", "", "how many are deactivated, 0: asked as it is", std::move(experts)}},
            {}};
}

ResultTable deactivated_table(const Asking& asking, const std::vector<ExpertSet>& sets) {
    std::vector<std::int32_t> trials, layers, experts;
    for (std::size_t s = 0; s < sets.size(); ++s)
        for (const auto& [layer, expert] : sets[s].experts) {
            trials.push_back(static_cast<std::int32_t>(asking.questions.size() + s));
            layers.push_back(layer);
            experts.push_back(expert);
        }
    return {"deactivated",
            "",
            {{"trial", "", "index into /trials", std::move(trials)},
             {"layer", "", "decoder layer, from 0", std::move(layers)},
             {"expert", "", "that the trial goes without", std::move(experts)}},
            {}};
}

ResultTable conditions_table(const Asking& asking, const Contrast& contrast) {
    std::vector<std::int32_t> trials, draws, sources;
    std::vector<std::int64_t> caps;
    std::vector<std::string> kinds;
    for (const DatasetContrast& dataset : contrast.datasets)
        for (const AblationCondition& c : dataset.conditions.conditions) {
            trials.push_back(static_cast<std::int32_t>(asking.questions.size() + dataset.first_set + c.set));
            kinds.emplace_back(name_of(c.kind));
            caps.push_back(c.cap);
            draws.push_back(c.draw);
            sources.push_back(c.source);
        }
    return {
        "conditions",
        "",
        {{"trial", "", "index into /trials; several conditions may share one", std::move(trials)},
         {"kind", "", "whose experts are deactivated", std::move(kinds)},
         {"cap", "", "experts of a question at most", std::move(caps)},
         {"draw", "", "of random sets: which; of singles: the expert's place among the question's", std::move(draws)},
         {"source", "", "the question whose experts they are, index into /questions", std::move(sources)}},
        {}};
}

ResultTable experts_table(const XiciConfig& config, const Contrast& contrast) {
    struct Line {
        std::int32_t question;
        Candidate candidate;
        bool kept;
    };
    std::vector<Line> lines;
    for (const DatasetContrast& dataset : contrast.datasets)
        for (const QuestionExperts& question : dataset.identified.questions)
            for (std::size_t i = 0; i < question.candidates.size(); ++i)
                lines.push_back(
                    {question.question, question.candidates[i], static_cast<std::int64_t>(i) < config.identify.cap});
    std::ranges::stable_sort(lines, {}, &Line::question);
    const auto of = [&](auto get) { return values_of(lines, [get](const Line& l) { return get(l.candidate); }); };
    return {"experts",
            "",
            {{"question", "", "index into /questions", values_of(lines, &Line::question)},
             {"layer", "", "decoder layer, from 0", of([](const Candidate& c) { return c.expert.layer; })},
             {"expert", "", "that weighs more where the answer is right",
              of([](const Candidate& c) { return c.expert.expert; })},
             {"u", "", "Mann-Whitney U, right against wrong languages", of([](const Candidate& c) { return c.u; })},
             {"p", "", "one-tailed p value of U", of([](const Candidate& c) { return c.p; })},
             {"difference", "", "of the median gate weights, right minus wrong",
              of([](const Candidate& c) { return c.difference; })},
             {"u_rank", "", "of U among the question's candidates, 1 the highest",
              of([](const Candidate& c) { return c.u_rank; })},
             {"difference_rank", "", "of the difference", of([](const Candidate& c) { return c.difference_rank; })},
             {"kept", "", "1: within identify.cap, 0: cut off by it",
              values_of(lines, [](const Line& l) { return std::int8_t{l.kept}; })}},
            {}};
}

ResultTable blacklist_table(const Contrast& contrast) {
    std::vector<std::string> datasets;
    std::vector<std::int32_t> layers, experts;
    for (const DatasetContrast& dataset : contrast.datasets)
        for (const auto& [layer, expert] : dataset.identified.blacklist) {
            datasets.push_back(dataset.name);
            layers.push_back(layer);
            experts.push_back(expert);
        }
    return {"blacklist",
            "",
            {{"dataset", "", "in which the expert is left out as a generalist", std::move(datasets)},
             {"layer", "", "decoder layer, from 0", std::move(layers)},
             {"expert", "", "its number in the layer", std::move(experts)}},
            {}};
}

ResultTable ratings_table(const std::vector<const RatedAnswers*>& all) {
    std::vector<std::int32_t> trials, languages;
    std::vector<std::int8_t> right, exactly;
    for (const RatedAnswers* answers : all) {
        trials.insert(trials.end(), answers->trial.begin(), answers->trial.end());
        languages.insert(languages.end(), answers->language.begin(), answers->language.end());
        right.insert(right.end(), answers->right.begin(), answers->right.end());
        exactly.insert(exactly.end(), answers->right_exactly.begin(), answers->right_exactly.end());
    }
    ResultTable table{"ratings",
                      "",
                      {{"trial", "", "index into /trials, line by line as in /answers", std::move(trials)},
                       {"language", "", "index into /languages", std::move(languages)},
                       {"right", "", "1: the answer is right, by rate.by", std::move(right)}},
                      {}};
    if (!exactly.empty())
        table.columns.push_back({"right_exactly", "", "1: it contains a known answer", std::move(exactly)});
    return table;
}

/// What a reader wants to know at once.
std::vector<std::string> summary(const std::vector<ResultTable>& tables) {
    std::vector<std::string> lines;
    const auto column = [](const ResultTable& table, std::string_view name) -> const auto& {
        return std::ranges::find(table.columns, name, &ResultColumn::name)->values;
    };
    for (const ResultTable& table : tables) {
        if (table.name != "ablation") continue;
        const auto& kinds = std::get<std::vector<std::string>>(column(table, "kind"));
        const auto& datasets = std::get<std::vector<std::string>>(column(table, "dataset"));
        const auto value = [&](const char* name, std::size_t i) {
            return std::get<std::vector<double>>(column(table, name))[i];
        };
        for (std::size_t i = 0; i < kinds.size(); ++i)
            lines.push_back(
                fmt::format("  {:<12} {:<14} cap {:>3}: success {:.3f} [{:.3f}, {:.3f}], spurious gain {:.3f}",
                            datasets[i], kinds[i], std::get<std::vector<std::int64_t>>(column(table, "cap"))[i],
                            value("success", i), value("success_low", i), value("success_high", i), value("gain", i)));
    }
    return lines;
}

}  // namespace

Attributes describe(const XiciConfig& config, const Job& job, const std::string& prompt_form,
                    const std::vector<std::int32_t>& stop_tokens) {
    Attributes meta = {{"version", version}};
    for (const auto& [name, value] : architecture(job.model.config)) meta.emplace_back(name, value);
    const auto bos = bos_token(job.model.tokenizer, config.model.bos);
    meta.emplace_back("bos", bos ? std::to_string(*bos) : "none");
    meta.emplace_back("prompt_form", prompt_form);
    meta.emplace_back("stop_tokens", fmt::format("{}", fmt::join(stop_tokens, " ")));
    meta.emplace_back("weights_sha256", job.weights_sha256);
    meta.emplace_back("tokenizer_sha256", job.tokenizer_sha256);
    meta.emplace_back("questions_sha256", job.file_sha256);
    return meta;
}

MergeSummary merge_run(const XiciConfig& config, const Store& store, const Attributes& provenance) {
    const auto asking = read_asking_file(store);
    if (!asking) fail(Exit::data, "{}: no questions.h5, run xici again", store.folder().string());
    const TrialSeries asked = asked_series(config, store, *asking);
    if (const auto missing = asked.units.store.missing_units(asked.units.count); !missing.empty())
        fail(Exit::data, "{}: missing, run xici again", asked.units.store.unit_path(missing[0]).string());
    const auto before = rate_series(config, *asking, asked);
    if (!before)
        fail(Exit::usage, "rate.file: required with rate.by = file: ratings of {}",
             (store.folder() / "answers.jsonl").string());

    const Contrast contrast = find_contrast(config, *asking, asked, *before);
    const std::vector<ExpertSet> sets = contrast.sets();
    const TrialSeries again = deactivated_series(config, store, *asking, sets);
    const bool complete = again.units.complete();
    const std::optional<RatedAnswers> after = complete ? rate_series(config, *asking, again) : std::nullopt;
    const Findings findings{config, *asking, *before, contrast, after ? &*after : nullptr};
    const std::vector<ResultTable> results = result_tables(findings);

    Attributes meta = asking->meta;
    meta.emplace_back("precision", value_of(settings(config), "model.precision"));
    meta.emplace_back("config", number_changing_ini(settings(config), {"model.path", "model.weights", "questions.path",
                                                                       "rate.file", "rate.model"}));
    const QuestionColumns questions = question_columns(*asking);
    const LanguageColumns languages = language_columns(*asking);
    const VariantColumns variants = variant_columns(*asking);
    const std::vector<ResultTable> found = {
        trials_table(*asking, sets),         deactivated_table(*asking, sets),
        conditions_table(*asking, contrast), experts_table(config, contrast),
        blacklist_table(contrast),           after ? ratings_table({&*before, &*after}) : ratings_table({&*before})};
    MergedFile file;
    file.group("meta", meta);
    file.table("questions", questions);
    file.table("languages", languages);
    file.table("variants", variants);
    std::vector<MergedFile::Series> series = {{asked.units.store, asked.units.count}};
    if (complete && !sets.empty()) series.push_back({again.units.store, again.units.count});
    file.units<TrialUnit>(series, std::ssize(asking->questions) + std::ssize(sets),
                          [](const std::string& table) { return table; });
    for (const ResultTable& table : found) file.table(table.name, table);
    VerdictTable verdicts;
    if (config.rate.by == RateBy::model) {
        verdicts = read_verdicts(config, asked);
        if (after) append(verdicts, read_verdicts(config, again));
        file.table("verdicts", verdicts);
    }
    file.group("results");
    for (const ResultTable& table : results) file.result(table);
    file.group("provenance", provenance);
    file.write(store.folder() / "xici.h5");

    MergeSummary said{summary(results), after || sets.empty()};
    if (!said.whole)
        said.lines.push_back(complete ? fmt::format("the answers with experts deactivated are not rated: rate {}",
                                                    file_to_rate(again).string())
                                      : "the questions have not been asked again with these experts: run xici again");
    return said;
}

}  // namespace moesweep
