#include "moesweep/xici/xici.h"

#include <fmt/ranges.h>

#include "moesweep/base/version.h"
#include "moesweep/run/plan.h"
#include "moesweep/xici/ask.h"
#include "moesweep/xici/contrast.h"
#include "moesweep/xici/estimate.h"
#include "moesweep/xici/merge.h"
#include "moesweep/xici/rater.h"

namespace moesweep {
namespace {

std::vector<Setting> defaults() {
    return settings(XiciConfig{});
}

/// What an XICI run is known by: its configuration, and what the model's files make of a question and its answer.
MethodIdentity identity_of(const XiciConfig& config, const PromptForm& form) {
    MethodIdentity identity{xici_method.name,     "trace",        settings(config),
                            defaults(),           to_ini(config), "questions_sha256",
                            config.questions.path};
    for (const auto& [key, value] :
         {std::pair{"prompt_form", form.name}, {"stop_tokens", fmt::format("{}", fmt::join(form.stop.ids, " "))}}) {
        identity.settings.push_back({key, value});
        identity.defaults.push_back({key, ""});
    }
    return identity;
}

/// The questions as prompts of the model.
std::pair<Asking, PromptForm> open_questions(const XiciConfig& config, const Job& job) {
    std::pair<Asking, PromptForm> opened;
    auto& [asking, form] = opened;
    job.world.together([&] {
        expect_usable(config);
        asking = read_asking(config.questions);
        form = make_prompts(config, job.model.tokenizer, asking);
        expect_to_fit_window(config, job.model.config, asking);
        const ModelConfig& model = job.model.config;  // what would be refused later is refused now
        identify_rules(config.identify, model.is_moe, model.router.score == Score::sigmoid);
        if (config.rate.by == RateBy::model) expect_rater(config);
    });
    return opened;
}

/// Root tells all which experts are deactivated in which question.
std::vector<ExpertSet> broadcast(const Comm& world, const std::vector<ExpertSet>& sets) {
    std::vector<std::int64_t> message;
    for (const ExpertSet& set : sets) {
        message.insert(message.end(), {set.question, std::ssize(set.experts)});
        for (const auto& [layer, expert] : set.experts) message.insert(message.end(), {layer, expert});
    }
    message = world.broadcast(message);
    std::vector<ExpertSet> all;
    auto word = message.begin();
    const auto read = [&] { return static_cast<std::int32_t>(*word++); };
    while (word != message.end()) {
        ExpertSet& set = all.emplace_back(ExpertSet{read(), {}});
        for (std::int32_t left = read(); left > 0; --left) {
            const std::int32_t layer = read(), expert = read();
            set.experts.push_back({layer, expert});
        }
    }
    return all;
}

/// A dataset's share of what was found, in a line.
std::string found_in(const DatasetContrast& dataset, std::int64_t cap) {
    std::int64_t mixed = 0, with_experts = 0, experts = 0;
    for (const QuestionExperts& question : dataset.identified.questions) {
        mixed += question.right > 0 && question.wrong > 0;
        with_experts += !question.candidates.empty();
        experts += std::ssize(question.within(cap));
    }
    return fmt::format("{}: {} of {} questions answered right in some languages, {} of them with experts, {:.1f} each",
                       dataset.name, mixed, dataset.identified.questions.size(), with_experts,
                       with_experts ? double(experts) / double(with_experts) : 0.0);
}

/// What is deactivated when the questions are asked again; nothing where answers are yet to be rated. Root rates and
/// identifies. Every rank calls it.
std::optional<std::vector<ExpertSet>> choose_sets(const XiciConfig& config, Job& job, const Asking& asking,
                                                  const TrialSeries& asked) {
    job.watchdog.phase("identifying", Watchdog::Signs::work);
    std::vector<ExpertSet> sets;
    bool rated = true;
    job.world.together([&] {
        if (!job.world.root()) return;
        const auto answers = rate_series(config, asking, asked);
        rated = answers.has_value();
        if (!rated) return;
        const Contrast contrast = find_contrast(config, asking, asked, *answers);
        for (const DatasetContrast& dataset : contrast.datasets)
            job.progress.say(found_in(dataset, config.identify.cap));
        sets = contrast.sets();
    });
    if (job.world.any(!rated)) return std::nullopt;
    return broadcast(job.world, sets);
}

void say_what_to_rate(const XiciConfig& config, Job& job, const TrialSeries& series) {
    if (config.rate.by != RateBy::file) return;
    job.progress.say(fmt::format("the answers to rate for rate.file are in {}", file_to_rate(series).string()));
}

Exit xici(const CommandLine& line, const Comm& world) {
    // 1. The configuration, and what a run reads: model, tokenizer, questions
    auto config = read_configuration<XiciConfig>(line, world);
    if (!config) return Exit::done;
    Job job(world, *config);
    auto [asking, form] = open_questions(*config, job);

    // 2. The run's folder; who does what
    job.claim_folder(identity_of(*config, form), line.verify);
    for (const std::string& note : form.notes) job.progress.say(note);
    world.together([&] {
        asking.meta = describe(*config, job, form.name, form.stop.ids);
        if (world.root() && !read_asking_file(job.store)) write_asking_file(job.store, asking);
    });
    job.lay_out(load_of(*config, *job.model.weights, asking).work);
    job.progress.say(fmt::format("{} questions in {} languages, {} sequences", asking.questions.size(),
                                 asking.languages.size(), asking.sequences()));

    // 3. Ask every question in every language, and note what is routed to
    const TrialSeries asked = asked_series(*config, job.store, asking);
    if (!compute_trials(*config, job, asking, form.stop.ids, asked)) return job.stopped();

    // 4. Rate the answers; which experts weigh more where they are right
    const bool by_model = config->rate.by == RateBy::model;
    if (by_model && !compute_verdicts(*config, job, asking, asked)) return job.stopped();
    const auto sets = choose_sets(*config, job, asking, asked);
    if (!sets) return say_what_to_rate(*config, job, asked), job.stopped();

    // 5. Ask again without these experts, and without others for comparison
    const TrialSeries again = deactivated_series(*config, job.store, asking, *sets);
    if (!compute_trials(*config, job, asking, form.stop.ids, again)) return job.stopped();

    if (by_model && !compute_verdicts(*config, job, asking, again)) return job.stopped();
    say_what_to_rate(*config, job, again);

    // 6. One file, with the results
    job.watchdog.phase("merging", Watchdog::Signs::work);
    log_traffic(job);
    const std::string command = fmt::format("{} {}", line.command, fmt::join(line.arguments, " "));
    Attributes made_by = provenance(job, command, line.overrides);
    made_by.emplace_back("config", to_ini(*config));
    bool whole = true;
    world.together([&] {
        if (!world.root()) return;
        const MergeSummary summary = merge_run(*config, job.store, made_by);
        for (const std::string& said : summary.lines) job.progress.say(said);
        job.progress.say(fmt::format("wrote {}", (job.store.folder() / "xici.h5").string()));
        whole = summary.whole;
    });
    return world.any(!whole) ? job.stopped() : Exit::done;
}

Exit plan(const CommandLine& line, const Comm& world) {
    auto config = read_configuration<XiciConfig>(line, world);
    if (!config) return Exit::done;
    Job job(world, *config);
    const auto [asking, form] = open_questions(*config, job);
    print_model(job);
    world.together([&] {
        if (world.root()) print_cost(*config, job.model.config, asking, form);
    });
    print_layout(job, load_of(*config, *job.model.weights, asking).work, "questions");
    return Exit::done;
}

Exit merge(const CommandLine& line) {
    const Store store(line.only_argument("a run folder"));
    const auto config = read_configuration_of<XiciConfig>(store.folder().string(), line);
    if (!config) return Exit::done;
    const RunLock lock(store.folder(), std::chrono::milliseconds(0));  // a live run merges by itself
    const Attributes made_by = {{"command", "merge"}, {"config", to_ini(*config)}, {"moesweep", version}};
    for (const std::string& said : merge_run(*config, store, made_by).lines) fmt::print("{}\n", said);
    fmt::print("wrote {}\n", (store.folder() / "xici.h5").string());
    return Exit::done;
}

}  // namespace

const Method xici_method = {
    "xici",
    "ask questions in many languages, find the experts of right answers, ask again without them, write RUN/xici.h5",
    defaults,
    xici,
    plan,
    merge};

}  // namespace moesweep
