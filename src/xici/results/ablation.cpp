#include <algorithm>
#include <map>

#include "results.h"

namespace moesweep {
namespace {

/// What is compared: the sets of one kind under one cap.
struct Group {
    SetKind kind;
    std::int64_t cap;
    auto operator<=>(const Group&) const = default;
};

struct GroupAnswers {
    std::vector<AskedAgain> answers;
    std::int64_t sets = 0, experts = 0, disobeyed = 0;
};

/// The lines of each trial among answers, which are sorted by trial.
std::vector<std::size_t> first_lines(const RatedAnswers& answers, std::size_t trials, std::int32_t first) {
    std::vector<std::size_t> begin(trials + 1, answers.size());
    for (std::size_t i = answers.size(); i-- > 0;) begin[static_cast<std::size_t>(answers.trial[i] - first)] = i;
    for (std::size_t t = trials; t-- > 0;) begin[t] = std::min(begin[t], begin[t + 1]);
    return begin;
}

/// `held_out`: in the languages that identify.languages leaves out alone.
std::map<Group, GroupAnswers> group_answers(const Findings& f, const Findings::Part& part, bool held_out = false) {
    const std::size_t questions = f.asking.questions.size();
    std::size_t sets = 0;
    for (const DatasetContrast& dataset : f.contrast.datasets) sets += dataset.conditions.sets.size();
    const auto before = first_lines(f.before, questions, 0),
               after = first_lines(*f.after, sets, static_cast<std::int32_t>(questions));
    std::map<Group, GroupAnswers> groups;
    for (const DatasetContrast* dataset : part.datasets) {
        for (const AblationCondition& c : dataset->conditions.conditions) {
            GroupAnswers& group = groups[{c.kind, c.cap}];
            const std::size_t q = static_cast<std::size_t>(c.question), set = dataset->first_set + c.set;
            ++group.sets;
            group.experts += std::ssize(dataset->conditions.sets[c.set].experts);
            for (std::size_t i = before[q], j = after[set]; i < before[q + 1]; ++i, ++j) {
                if (held_out && !is_held_out(f.config.identify, f.asking, f.before.language[i])) continue;
                group.answers.push_back({c.question, c.draw, f.before.right[i], f.after->right[j]});
                group.disobeyed += f.after->disobeyed[j];
            }
        }
    }
    return groups;
}

StatsRules rules(const Findings& f) {
    return {f.config.stats.bootstrap, f.config.stats.sign_flips, f.config.stats.seed};
}

/// Columns NAME, NAME_low, NAME_high.
template <class Line>
void add_rate(ResultTable& table, const std::vector<Line>& lines, const std::string& name, const char* meaning,
              AnswerRate Ablation::*rate) {
    table.columns.push_back(
        {name, "", meaning, values_of(lines, [=](const Line& l) { return (l.result.*rate).value; })});
    table.columns.push_back({name + "_low", "", "lower end of its 95% interval over questions",
                             values_of(lines, [=](const Line& l) { return (l.result.*rate).ci.low; })});
    table.columns.push_back({name + "_high", "", "upper end of it",
                             values_of(lines, [=](const Line& l) { return (l.result.*rate).ci.high; })});
}

template <class Line>
void add_gap(ResultTable& table, const std::vector<Line>& lines, const std::string& name, const char* meaning,
             Gap Comparison::*gap) {
    table.columns.push_back(
        {name, "", meaning, values_of(lines, [=](const Line& l) { return (l.result.*gap).value; })});
    table.columns.push_back({name + "_low", "", "lower end of its 95% interval over questions",
                             values_of(lines, [=](const Line& l) { return (l.result.*gap).ci.low; })});
    table.columns.push_back({name + "_high", "", "upper end of it",
                             values_of(lines, [=](const Line& l) { return (l.result.*gap).ci.high; })});
    table.columns.push_back({name + "_p", "", "two-sided sign-flip p value over questions",
                             values_of(lines, [=](const Line& l) { return (l.result.*gap).p; })});
}

/// A line per dataset, kind and cap.
ResultTable ablation_of(const Findings& f, bool held_out) {
    struct Line {
        std::string dataset, kind;
        std::int64_t cap;
        double experts;
        std::int64_t disobeyed;
        Ablation result;
    };
    std::vector<Line> lines;
    if (f.after)
        for (const auto& part : f.parts())
            for (const auto& [group, found] : group_answers(f, part, held_out))
                lines.push_back({part.name, name_of(group.kind), group.cap, double(found.experts) / double(found.sets),
                                 found.disobeyed, ablation(found.answers, rules(f))});
    const auto count = [&](std::int64_t Ablation::*member) {
        return values_of(lines, [member](const Line& l) { return l.result.*member; });
    };
    ResultTable table{
        "ablation",
        "What deactivating experts does to the answers, by whose experts they are",
        {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
         {"kind", "", "whose experts are deactivated", values_of(lines, &Line::kind)},
         {"cap", "", "experts of a question at most", values_of(lines, &Line::cap)},
         {"questions", "", "asked again", count(&Ablation::questions)},
         {"sets", "", "sets that they were asked with", count(&Ablation::sets)},
         {"experts", "", "of a set, on average", values_of(lines, &Line::experts)},
         {"right", "", "answers that were right before", count(&Ablation::right)},
         {"lost", "", "of these, wrong after", count(&Ablation::lost)},
         {"wrong", "", "answers that were wrong before", count(&Ablation::wrong)},
         {"gained", "", "of these, right after", count(&Ablation::gained)},
         {"silenced", "", "sets whose question was right in some language and is in none", count(&Ablation::silenced)},
         {"disobeyed", "", "choices of a deactivated expert, over tokens and layers",
          values_of(lines, &Line::disobeyed)}},
        {{"paper", "arXiv 2603.17102, Table 2; by cap, Figure 2"}}};
    add_rate(table, lines, "success", "ablation success rate: lost / right", &Ablation::success);
    add_rate(table, lines, "gain", "spurious gain rate: gained / wrong", &Ablation::gain);
    add_rate(table, lines, "difference", "success - gain", &Ablation::difference);
    if (!f.after)
        table.attributes.emplace_back("note", "The questions have not been asked again with these experts: run xici.");
    return table;
}

}  // namespace

const char* name_of(SetKind kind) {
    switch (kind) {
        case SetKind::identified:
            return "identified";
        case SetKind::random:
            return "random";
        case SetKind::shuffled:
            return "shuffled";
        case SetKind::same_relation:
            return "same_relation";
        case SetKind::permuted:
            return "permuted";
        case SetKind::single:
            return "single";
    }
    return "";
}

ResultTable ablation_table(const Findings& f) {
    return ablation_of(f, /*held_out=*/false);
}

ResultTable held_out_table(const Findings& f) {
    Findings none = f;
    if (f.config.identify.languages.empty()) none.after = nullptr;
    ResultTable table = ablation_of(none, /*held_out=*/true);
    table.name = "held_out";
    table.meaning = "The same in the languages that identify.languages leaves out: paraphrases, for instance";
    table.attributes.clear();
    if (f.config.identify.languages.empty()) table.attributes.emplace_back("note", "No language is held out.");
    return table;
}

ResultTable comparisons_table(const Findings& f) {
    struct Line {
        std::string dataset, baseline;
        std::int64_t cap;
        Comparison result;
    };
    std::vector<Line> lines;
    if (f.after)
        for (const auto& part : f.parts()) {
            const auto groups = group_answers(f, part);
            for (const auto& [group, found] : groups) {
                const auto ours = groups.find({SetKind::identified, group.cap});
                if (group.kind == SetKind::identified || ours == groups.end()) continue;
                lines.push_back({part.name, name_of(group.kind), group.cap,
                                 compare(ours->second.answers, found.answers, rules(f))});
            }
        }
    ResultTable table{
        "comparisons",
        "The questions' own experts against each baseline, over the questions that both have",
        {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
         {"baseline", "", "whose experts the others are", values_of(lines, &Line::baseline)},
         {"cap", "", "experts of a question at most", values_of(lines, &Line::cap)},
         {"questions", "", "compared", values_of(lines, [](const Line& l) { return l.result.questions; })}},
        {}};
    add_gap(table, lines, "success", "ablation success rate minus the baseline's", &Comparison::success);
    add_gap(table, lines, "difference", "success - gain, minus the baseline's", &Comparison::difference);
    return table;
}

ResultTable unpaired_table(const Findings& f) {
    std::vector<std::string> ids, kinds;
    for (const DatasetContrast& dataset : f.contrast.datasets)
        for (const auto& [kind, question] : dataset.conditions.unpaired) {
            ids.push_back(f.asking.questions[static_cast<std::size_t>(question)].id);
            kinds.emplace_back(name_of(kind));
        }
    return {
        "unpaired",
        "Questions with experts but no other question to exchange them with",
        {{"id", "", "the question's id", std::move(ids)}, {"kind", "", "the baseline that lacks it", std::move(kinds)}},
        {}};
}

}  // namespace moesweep
