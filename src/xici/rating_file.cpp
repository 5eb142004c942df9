#include "moesweep/xici/rating_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "line.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

using Name = std::tuple<std::string, std::string, std::string>;  // id, language, condition

Name name_of(const AnswerToRate& answer) {
    return {answer.id, answer.language, answer.condition};
}

/// Puts ratings to answers.
class Matcher {
  public:
    explicit Matcher(const std::vector<AnswerToRate>& answers) : answers_(answers), lines_(answers.size()) {
        ratings_.right.resize(answers.size());
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (!index_.emplace(name_of(answers[i]), i).second)
                fail(Exit::internal, "two answers of question {} in {} ({}) are to be rated", answers[i].id,
                     answers[i].language, answers[i].condition);
            languages_[answers[i].id].insert(answers[i].language);
            conditions_.insert(answers[i].condition);
        }
    }

    void take(Line& line, std::size_t number) {
        const std::string id = line.take_id();
        const auto languages = languages_.find(id);
        if (languages == languages_.end()) line.refuse("id: no such question was asked");
        const std::string& language = line.filled_text(line.json(), "language", "language");
        if (!languages->second.contains(language)) line.refuse("language: the question was not asked in {}", language);
        const std::string condition = condition_of(line);
        const auto at = index_.find(Name{id, language, condition});
        const bool right = verdict(line);
        if (at == index_.end()) {
            ++ratings_.other_conditions;
            return;
        }
        if (lines_[at->second] != 0) line.refuse("repeated, first in line {}", lines_[at->second]);
        check_answer(line, answers_[at->second]);
        lines_[at->second] = number;
        ratings_.right[at->second] = right;
    }

    Ratings take_all(const std::string& file) {
        const auto missing = std::ranges::count(lines_, std::size_t{0});
        if (missing > 0) {
            const auto& [id, language, condition] =
                name_of(answers_[static_cast<std::size_t>(std::ranges::find(lines_, std::size_t{0}) - lines_.begin())]);
            fail(Exit::data, "{}: {} of {} answers are not rated, the first is id {}, language {}, condition {}", file,
                 missing, lines_.size(), id, language, condition);
        }
        return std::move(ratings_);
    }

  private:
    std::string condition_of(const Line& line) const {
        if (line.json().contains("condition")) return line.filled_text(line.json(), "condition", "condition");
        if (conditions_.size() > 1) line.refuse("condition: missing, it is one of {}", fmt::join(conditions_, ", "));
        return *conditions_.begin();
    }

    static bool verdict(const Line& line) {
        const OrderedJson& right = line.member(line.json(), "right", "right");
        if (!right.is_boolean()) line.refuse("right: expected true or false, got {}", Line::shown(right));
        return right.get<bool>();
    }

    static void check_answer(const Line& line, const AnswerToRate& rated) {
        const auto answer = line.json().find("answer");
        if (answer != line.json().end() && *answer != rated.answer)
            line.refuse("answer: another one than this run's, which is {}, got {}",
                        Line::shown(OrderedJson(rated.answer)), Line::shown(*answer));
    }

    const std::vector<AnswerToRate>& answers_;
    std::map<Name, std::size_t> index_;
    std::map<std::string, std::set<std::string>> languages_;  // of each question
    std::set<std::string> conditions_;
    std::vector<std::size_t> lines_;  // in which an answer is rated, 0: in none so far
    Ratings ratings_;
};

}  // namespace

void write_answers(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers) {
    std::string lines;
    for (const AnswerToRate& each : answers) {
        const OrderedJson line = {{"id", each.id},
                                  {"language", each.language},
                                  {"condition", each.condition},
                                  {"question", each.question},
                                  {"reference", each.known.front()},
                                  {"answers", each.known},
                                  {"answer", each.answer}};
        lines += line.dump() + '\n';
    }
    write_file_atomically(path, lines);
}

Ratings read_ratings(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers) {
    const std::string file = path.string();
    Matcher matcher(answers);
    for_each_json_line(read_file(path), file, [&](const OrderedJson& json, std::size_t number) {
        Line line(json, file, number);
        matcher.take(line, number);
    });
    return matcher.take_all(file);
}

bool rates_any(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers) {
    std::set<std::string> conditions;
    for (const AnswerToRate& answer : answers) conditions.insert(answer.condition);
    bool any = false;
    for_each_json_line(read_file(path), path.string(), [&](const OrderedJson& json, std::size_t) {
        const auto condition = json.is_object() ? json.find("condition") : json.end();
        any |= condition != json.end() && condition->is_string() && conditions.contains(condition->get<std::string>());
    });
    return any;
}

}  // namespace moesweep
