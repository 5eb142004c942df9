#include <algorithm>
#include <set>

#include "moesweep/xici/agreement.h"
#include "results.h"

namespace moesweep {
namespace {

/// How many languages of each question were answered right and wrong, by question.
struct Outcome {
    std::int64_t right = 0, wrong = 0;
};

std::vector<Outcome> outcomes(const Findings& f) {
    std::vector<Outcome> all(f.asking.questions.size());
    for (std::size_t i = 0; i < f.before.size(); ++i) {
        Outcome& outcome = all[static_cast<std::size_t>(f.before.trial[i])];
        ++(f.before.right[i] ? outcome.right : outcome.wrong);
    }
    return all;
}

double share(std::int64_t part, std::int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);  // NaN of nothing
}

}  // namespace

ResultTable outcomes_table(const Findings& f) {
    struct Line {
        std::string dataset;
        std::int64_t questions = 0, languages = 0, answers = 0, right = 0, all_right = 0, all_wrong = 0, mixed = 0;
        std::int64_t english = 0, english_right = 0;
    };
    const std::vector<Outcome> all = outcomes(f);
    std::vector<Line> lines;
    for (const auto& part : f.parts()) {
        Line line{part.name};
        std::set<std::int32_t> languages;
        for (std::size_t q = 0; q < all.size(); ++q) {
            if (!part.has(f.asking.questions[q])) continue;
            const auto [right, wrong] = all[q];
            ++line.questions;
            line.answers += right + wrong;
            line.right += right;
            ++(wrong == 0 ? line.all_right : right == 0 ? line.all_wrong : line.mixed);
        }
        for (std::size_t i = 0; i < f.before.size(); ++i) {
            if (!part.has(f.asking.questions[static_cast<std::size_t>(f.before.trial[i])])) continue;
            languages.insert(f.before.language[i]);
            if (f.asking.languages[static_cast<std::size_t>(f.before.language[i])] != "en") continue;
            ++line.english;
            line.english_right += f.before.right[i];
        }
        line.languages = std::ssize(languages);
        lines.push_back(line);
    }
    return {"outcomes",
            "How often questions are answered right: in all languages, in none, in some",
            {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
             {"questions", "", "asked", values_of(lines, &Line::questions)},
             {"languages", "", "in which some of them are asked", values_of(lines, &Line::languages)},
             {"english_accuracy", "", "share of right answers in the language en, NaN without one",
              values_of(lines, [](const Line& l) { return share(l.english_right, l.english); })},
             {"accuracy", "", "share of right answers over questions and languages",
              values_of(lines, [](const Line& l) { return share(l.right, l.answers); })},
             {"all_right", "", "questions answered right in every language", values_of(lines, &Line::all_right)},
             {"all_wrong", "", "questions answered right in none", values_of(lines, &Line::all_wrong)},
             {"mixed", "", "questions answered right in some: those with a contrast", values_of(lines, &Line::mixed)}},
            {{"paper", "arXiv 2603.17102, Table 1"}}};
}

ResultTable languages_table(const Findings& f) {
    struct Line {
        std::string dataset, language;
        std::int64_t asked = 0, right = 0;
    };
    std::vector<Line> lines;
    for (const auto& part : f.parts()) {
        const std::size_t first = lines.size();
        for (const std::string& label : f.asking.languages) lines.push_back({part.name, label});
        for (std::size_t i = 0; i < f.before.size(); ++i) {
            if (!part.has(f.asking.questions[static_cast<std::size_t>(f.before.trial[i])])) continue;
            Line& line = lines[first + static_cast<std::size_t>(f.before.language[i])];
            ++line.asked;
            line.right += f.before.right[i];
        }
    }
    std::erase_if(lines, [](const Line& line) { return line.asked == 0; });
    return {"languages",
            "Right answers by language",
            {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
             {"language", "", "its label", values_of(lines, &Line::language)},
             {"asked", "", "questions", values_of(lines, &Line::asked)},
             {"right", "", "answered right", values_of(lines, &Line::right)}},
            {}};
}

ResultTable raters_table(const Findings& f) {
    struct Line {
        std::string answers;
        std::int64_t unparsable;
        Agreement agreement;
    };
    std::vector<Line> lines;
    for (const auto& [name, answers] : {std::pair{"asked", &f.before}, {"asked again", f.after}})
        if (answers && !answers->right_exactly.empty())
            lines.push_back({name, answers->unparsable, agreement(answers->right, answers->right_exactly)});
    const auto count = [&](std::int64_t Agreement::*member) {
        return values_of(lines, [member](const Line& l) { return l.agreement.*member; });
    };
    return {"raters",
            "How far the rater agrees with rate.by = exact",
            {{"answers", "", "which ones: as asked, or with experts deactivated", values_of(lines, &Line::answers)},
             {"unparsable", "", "a rating model's replies that are neither yes nor no: taken for no",
              values_of(lines, &Line::unparsable)},
             {"both_right", "", "answers", count(&Agreement::both_right)},
             {"rater_alone_right", "", "right by the rater alone", count(&Agreement::first_alone_right)},
             {"exact_alone_right", "", "right by exact comparison alone", count(&Agreement::second_alone_right)},
             {"both_wrong", "", "answers", count(&Agreement::both_wrong)},
             {"agreement", "", "share of answers to which both give the same verdict",
              values_of(lines, [](const Line& l) { return l.agreement.observed(); })},
             {"kappa", "", "Cohen's kappa", values_of(lines, [](const Line& l) { return l.agreement.kappa(); })}},
            {}};
}

}  // namespace moesweep
