#include "moesweep/xici/rater.h"

#include <algorithm>

#include "moesweep/base/files.h"
#include "moesweep/run/checkpoint_digest.h"
#include "moesweep/text/bos.h"
#include "moesweep/text/chat_template.h"
#include "moesweep/xici/rate.h"
#include "moesweep/xici/tables.h"

namespace moesweep {
namespace {

constexpr std::int64_t verdict_tokens = 8;  // YES or NO, behind a line's end or a quotation mark

/// RUN/rater.sha256: what the rater is, so that a merge finds its verdicts without it.
std::filesystem::path rater_file(const Store& store) {
    return store.folder() / "rater.sha256";
}

UnitSet verdict_units(const XiciConfig& config, const TrialSeries& answered, const std::string& rater) {
    const std::string name = sha256(fmt::format("{}\n{}\n{}\n{}\n{}", rater, config.rate.chat, config.rate.system,
                                                config.rate.prompt, answered.units.store.series_name()));
    return {"rated: units", answered.units.store.series("rated-" + name.substr(0, 16)), answered.units.count};
}

/// The rater's chat template, if it is asked by one.
std::optional<ChatTemplate> chat_of(const XiciConfig& config) {
    if (!config.rate.chat) return std::nullopt;
    return find_chat_template(config.rate.model, "set rate.chat = none");
}

/// How the rater is asked, and what ends what it says.
class RaterForm {
  public:
    RaterForm(const XiciConfig& config, const Asking& asking, const TrialSeries& answered, const Tokenizer& tokenizer)
        : config_(config), asking_(asking), answered_(answered), tokenizer_(tokenizer), prompt_(config.rate.prompt) {
        stop_ = stop_tokens(config.rate.model, tokenizer).ids;
        chat_ = chat_of(config);
    }
    const std::vector<std::int32_t>& stop() const { return stop_; }

    std::vector<std::int32_t> tokens(std::int32_t trial, std::int32_t language, const std::string& answer) const {
        const ExpertSet& set = answered_.trials[static_cast<std::size_t>(trial - answered_.first)];
        const Question& question = asking_.questions[static_cast<std::size_t>(set.question)];
        const std::string& label = asking_.languages[static_cast<std::size_t>(language)];
        const Variant& variant = *std::ranges::find(question.variants, label, &Variant::language);
        const std::string text = prompt_.fill(variant.question, variant.answers[0], answer);
        if (chat_) return prompt_ids(tokenizer_, chat_prompt(chat_->form, config_.rate.system, text), Bos::no);
        const std::string bare = config_.rate.system.empty() ? text : config_.rate.system + "\n" + text;
        return prompt_ids(tokenizer_, bare, Bos::automatic);
    }

  private:
    const XiciConfig& config_;
    const Asking& asking_;
    const TrialSeries& answered_;
    const Tokenizer& tokenizer_;
    RaterPrompt prompt_;
    std::vector<std::int32_t> stop_;
    std::optional<ChatTemplate> chat_;
};

/// The lengths of all prompts, trial by trial; root makes them.
std::vector<std::vector<std::int64_t>> prompt_lengths(const Comm& world, const TrialSeries& answered,
                                                      const RaterForm& form) {
    std::vector<std::int64_t> message;  // trial, length
    world.together([&] {
        if (!world.root()) return;
        const auto note = [&](const TrialUnit& unit) {
            const AnswerTable& t = unit.answers;
            for (std::size_t i = 0; i < t.size(); ++i)
                message.insert(message.end(),
                               {t.trial[i], std::ssize(form.tokens(t.trial[i], t.language[i], t.text[i]))});
        };
        answered.units.store.for_each_unit<TrialUnit>(answered.units.count, Columns::all, note);
    });
    message = world.broadcast(message);
    std::vector<std::vector<std::int64_t>> lengths(answered.trials.size());
    for (std::size_t i = 0; i < message.size(); i += 2)
        lengths[static_cast<std::size_t>(message[i] - answered.first)].push_back(message[i + 1]);
    return lengths;
}

VerdictTable verdicts_of(const std::vector<AnswerTable>& answers, const std::vector<Answer>& said,
                         const Tokenizer& tokenizer) {
    VerdictTable table;
    auto next = said.begin();
    for (const AnswerTable& t : answers) {
        for (std::size_t i = 0; i < t.size(); ++i, ++next) {
            std::string text = tokenizer.decode(next->tokens, /*skip_special=*/true);
            std::erase(text, '\0');
            const auto verdict = parse_verdict(text);
            table.trial.push_back(t.trial[i]);
            table.language.push_back(t.language[i]);
            table.verdict.push_back(!verdict ? Verdict::unparsable : *verdict ? Verdict::yes : Verdict::no);
            table.said.push_back(std::move(text));
        }
    }
    return table;
}

}  // namespace

void expect_rater(const XiciConfig& config) {
    read_model_config(config.rate.model);
    stop_tokens(config.rate.model, Tokenizer(config.rate.model));
    chat_of(config);
}

bool compute_verdicts(const XiciConfig& config, Job& job, const Asking& asking, const TrialSeries& answered) {
    RunConfig::Model settings = config.model;
    settings.path = config.rate.model;
    const std::string rater = checkpoint_digest(settings.path, job.store.folder() / "rater", job.world);
    job.world.together([&] {
        if (job.world.root()) write_file_atomically(rater_file(job.store), rater + "\n");
    });
    const UnitSet units = verdict_units(config, answered, rater);
    bool complete = false;
    job.world.together([&] { complete = units.complete(); });
    if (!job.world.any(!complete)) return true;

    std::optional<RaterForm> form;
    DecodeLoad load;
    const auto prepare = [&] {
        job.world.together([&] { form.emplace(config, asking, answered, job.model.tokenizer); });
        load = load_of(*job.model.weights, prompt_lengths(job.world, answered, *form), verdict_tokens);
        if (const auto window = job.model.config.sliding_window; window > 0 && load.work.tokens > window)
            throw SharedError(Exit::data,
                              fmt::format("{}/config.json: sliding_window: {} is shorter than the {} tokens "
                                          "of a prompt and its verdict, which is not supported",
                                          config.rate.model, window, load.work.tokens));
        return load.work;
    };
    job.with_model(settings, prepare, [&] {
        complete = compute_units(job, units, [&](const Assignment& assignment) -> Commit {
            std::vector<AnswerTable> answers;
            std::vector<Prompt> prompts;
            for (const auto unit : assignment.units) {
                answers.push_back(answered.units.store.read_unit<TrialUnit>(unit).answers);
                const AnswerTable& t = answers.back();
                for (std::size_t i = 0; i < t.size(); ++i)
                    prompts.push_back({form->tokens(t.trial[i], t.language[i], t.text[i])});
            }
            const DecodePlan plan{.stop_tokens = form->stop(), .control = {}};
            const auto said = answer_prompts(job, assignment, load, prompts, plan);
            if (!said) return {};
            return [&, numbers = assignment.units, pass = verdicts_of(answers, *said, job.model.tokenizer)] {
                for (const auto unit : numbers) {
                    const VerdictUnit all{answered.items(0, std::ssize(answered.trials)), pass};
                    units.store.write_unit(unit, part_of(all, answered.items(unit, config.run.unit)));
                }
            };
        });
    });
    return complete;
}

VerdictTable read_verdicts(const XiciConfig& config, const TrialSeries& answered) {
    if (!std::filesystem::exists(rater_file(answered.units.store)))
        fail(Exit::data, "{}: no model has rated the answers yet, run xici again with rate.by = model",
             answered.units.store.folder().string());
    std::string rater = read_file(rater_file(answered.units.store));
    while (!rater.empty() && rater.back() == '\n') rater.pop_back();
    const UnitSet units = verdict_units(config, answered, rater);
    if (const auto missing = units.store.missing_units(units.count); !missing.empty())
        fail(Exit::data, "{}: missing, run xici again to rate the answers", units.store.unit_path(missing[0]).string());
    VerdictTable all;
    units.store.for_each_unit<VerdictUnit>(units.count, Columns::all,
                                           [&](const VerdictUnit& unit) { append(all, unit.verdicts); });
    return all;
}

}  // namespace moesweep
