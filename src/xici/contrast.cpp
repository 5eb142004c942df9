#include "moesweep/xici/contrast.h"

#include <algorithm>
#include <map>

#include "moesweep/xici/rate.h"
#include "moesweep/xici/rater.h"
#include "moesweep/xici/tables.h"

namespace moesweep {
namespace {

const Question& question_of(const Asking& asking, const TrialSeries& series, std::int32_t trial) {
    const ExpertSet& set = series.trials[static_cast<std::size_t>(trial - series.first)];
    return asking.questions[static_cast<std::size_t>(set.question)];
}

const Variant& variant_of(const Asking& asking, const Question& question, std::int32_t language) {
    return *std::ranges::find(question.variants, asking.languages[static_cast<std::size_t>(language)],
                              &Variant::language);
}

/// "asked", or the experts that a trial goes without.
std::string condition_of(const TrialSeries& series, std::int32_t trial) {
    if (series.first == 0) return "asked";
    std::string text = "without";
    for (const auto& [layer, expert] : series.trials[static_cast<std::size_t>(trial - series.first)].experts)
        text += fmt::format(" {}.{}", layer, expert);
    return text;
}

/// Answers without their verdicts.
RatedAnswers read_answers(const TrialSeries& series) {
    RatedAnswers all;
    series.units.store.for_each_unit<TrialUnit>(series.units.count, Columns::all, [&](const TrialUnit& unit) {
        const AnswerTable& t = unit.answers;
        all.trial.insert(all.trial.end(), t.trial.begin(), t.trial.end());
        all.language.insert(all.language.end(), t.language.begin(), t.language.end());
        all.text.insert(all.text.end(), t.text.begin(), t.text.end());
        all.disobeyed.insert(all.disobeyed.end(), t.disobeyed.begin(), t.disobeyed.end());
    });
    return all;
}

std::vector<AnswerToRate> to_rate(const Asking& asking, const TrialSeries& series, const RatedAnswers& answers) {
    std::vector<AnswerToRate> all;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Question& question = question_of(asking, series, answers.trial[i]);
        const Variant& variant = variant_of(asking, question, answers.language[i]);
        all.push_back({question.id, variant.language, condition_of(series, answers.trial[i]), variant.question,
                       variant.answers, answers.text[i]});
    }
    return all;
}

std::vector<bool> rate_exactly(const Asking& asking, const TrialSeries& series, const RatedAnswers& answers) {
    std::vector<bool> right;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Question& question = question_of(asking, series, answers.trial[i]);
        const Variant& variant = variant_of(asking, question, answers.language[i]);
        right.push_back(is_right(answers.text[i], variant.answers, variant.language));
    }
    return right;
}

/// The captures of one dataset under capture.tokens.
struct DatasetCaptures {
    std::string name;
    std::vector<Sequence> sequences;
    std::vector<float> weights;  // [sequences, pairs]
};

void append_weights(const XiciConfig::Capture& config, const CaptureTable& t, std::size_t line,
                    std::vector<float>& weights) {
    const auto pairs = static_cast<std::size_t>(t.pairs);
    const double prompt = config.tokens == CaptureTokens::answer ? 0 : double(t.prompt_tokens[line]),
                 answer = config.tokens == CaptureTokens::prompt ? 0 : double(t.answer_tokens[line]),
                 tokens = std::max(prompt + answer, 1.0);
    for (std::size_t i = line * pairs; i < (line + 1) * pairs; ++i)
        weights.push_back(static_cast<float>((prompt * double(t.prompt[i]) + answer * double(t.answer[i])) / tokens));
}

/// Each dataset's captures, in the order in which the questions have them first. A dataset is read alone.
DatasetCaptures read_captures(const XiciConfig& config, const Asking& asking, const TrialSeries& asked,
                              const RatedAnswers& rated, const std::string& dataset) {
    DatasetCaptures captures{dataset};
    std::size_t line = 0;  // of /answers, which has the lines of /capture
    asked.units.store.for_each_unit<TrialUnit>(asked.units.count, Columns::all, [&](const TrialUnit& unit) {
        const CaptureTable& t = unit.capture;
        for (std::size_t i = 0; i < t.size(); ++i, ++line) {
            if (line >= rated.size() || t.trial[i] != rated.trial[line] || t.language[i] != rated.language[line])
                fail(Exit::data, "{}: capture: line {} is not of the same trial and language as in answers",
                     asked.units.store.folder().string(), line);
            if (question_of(asking, asked, t.trial[i]).dataset != dataset) continue;
            if (is_held_out(config.identify, asking, t.language[i])) continue;
            captures.sequences.push_back({t.trial[i], t.language[i], rated.right[line]});
            append_weights(config.capture, t, i, captures.weights);
        }
    });
    return captures;
}

DatasetContrast contrast_of(const XiciConfig& config, const Asking& asking, const IdentifyRules& rules,
                            const DatasetCaptures& dataset) {
    Captures captures{{}, asking.noted("num_experts"), dataset.sequences, dataset.weights};
    const std::vector<bool> is_moe = asking.is_moe();
    for (std::size_t l = 0; l < is_moe.size(); ++l)
        if (is_moe[l]) captures.layers.push_back(static_cast<std::int32_t>(l));
    DatasetContrast contrast{dataset.name, identify(captures, rules), {}};
    DatasetExperts experts{contrast.identified, {}, {}, captures.experts};
    if (config.deactivate.permuted) {
        captures.sequences = permute_labels(dataset.sequences, config.deactivate.seed);
        experts.permuted = identify(captures, rules);
    }
    for (const QuestionExperts& question : contrast.identified.questions)
        experts.relations.push_back(asking.questions[static_cast<std::size_t>(question.question)].relation);
    contrast.conditions = conditions(experts, rules, config.deactivate);
    return contrast;
}

}  // namespace

bool is_held_out(const XiciConfig::Identify& identify, const Asking& asking, std::int32_t language) {
    const std::string& label = asking.languages[static_cast<std::size_t>(language)];
    return !identify.languages.empty() && std::ranges::find(identify.languages, label) == identify.languages.end();
}

std::filesystem::path file_to_rate(const TrialSeries& series) {
    const Store& store = series.units.store;
    return store.folder() /
           (series.first == 0 ? "answers.jsonl" : fmt::format("answers-{}.jsonl", store.series_name()));
}

std::optional<RatedAnswers> rate_series(const XiciConfig& config, const Asking& asking, const TrialSeries& series) {
    RatedAnswers answers = read_answers(series);
    std::vector<bool> exactly = rate_exactly(asking, series, answers);
    if (config.rate.by == RateBy::exact) {
        answers.right = std::move(exactly);
        return answers;
    }
    if (config.rate.by == RateBy::model) {
        const VerdictTable verdicts = read_verdicts(config, series);
        if (verdicts.trial != answers.trial || verdicts.language != answers.language)
            fail(Exit::data, "{}: the rater's verdicts are not on the answers that are there",
                 series.units.store.folder().string());
        for (const Verdict verdict : verdicts.verdict) {
            answers.right.push_back(verdict == Verdict::yes);
            answers.unparsable += verdict == Verdict::unparsable;
        }
        answers.right_exactly = std::move(exactly);
        return answers;
    }
    std::vector<AnswerToRate> to_be_rated = to_rate(asking, series, answers);
    // One that is there holds the same answers, and perhaps ratings that somebody wrote beside them.
    if (const auto file = file_to_rate(series); !std::filesystem::exists(file)) write_answers(file, to_be_rated);
    if (config.rate.file.empty()) return std::nullopt;
    if (series.first != 0 && !rates_any(config.rate.file, to_be_rated)) return std::nullopt;
    if (series.first != 0) {  // one file of ratings serves both stages, so that it may speak of the first
        const TrialSeries asked = asked_series(config, Store(series.units.store.folder()), asking);
        const auto before = to_rate(asking, asked, read_answers(asked));
        to_be_rated.insert(to_be_rated.begin(), before.begin(), before.end());
    }
    const std::vector<bool> right = read_ratings(config.rate.file, to_be_rated).right;
    answers.right.assign(right.end() - static_cast<std::ptrdiff_t>(answers.size()), right.end());
    answers.right_exactly = std::move(exactly);
    return answers;
}

std::vector<ExpertSet> Contrast::sets() const {
    std::vector<ExpertSet> all;
    for (const DatasetContrast& dataset : datasets)
        all.insert(all.end(), dataset.conditions.sets.begin(), dataset.conditions.sets.end());
    return all;
}

Contrast find_contrast(const XiciConfig& config, const Asking& asking, const TrialSeries& asked,
                       const RatedAnswers& rated) {
    for (const std::string& label : config.identify.languages)
        if (std::ranges::find(asking.languages, label) == asking.languages.end())
            fail(Exit::usage, "identify.languages: no question is asked in {}", label);
    Contrast contrast{identify_rules(config.identify, asking.is_moe(), asking.sigmoid_router()), {}};
    std::vector<std::string> names;
    for (const Question& question : asking.questions)
        if (std::ranges::find(names, question.dataset) == names.end()) names.push_back(question.dataset);
    std::size_t sets = 0;
    for (const std::string& name : names) {
        contrast.datasets.push_back(
            contrast_of(config, asking, contrast.rules, read_captures(config, asking, asked, rated, name)));
        contrast.datasets.back().first_set = sets;
        sets += contrast.datasets.back().conditions.sets.size();
    }
    return contrast;
}

}  // namespace moesweep
