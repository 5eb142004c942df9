#include "moesweep/xici/questions.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "line.h"
#include "moesweep/base/files.h"
#include "moesweep/text/words.h"

namespace moesweep {
namespace {

std::vector<std::string> answers(const Line& line, const OrderedJson& variant, const std::string& path) {
    const OrderedJson& list = line.member(variant, "answers", path);
    if (!list.is_array()) line.refuse("{}: expected a list of texts, got {}", path, Line::shown(list));
    if (list.empty()) line.refuse("{}: empty", path);
    std::vector<std::string> texts;
    for (const OrderedJson& item : list) {
        const std::string where = fmt::format("{}[{}]", path, texts.size());
        const std::string& text = line.filled_text(item, where);
        if (folded_words(text).empty())
            line.refuse("{}: no letter, digit or symbol in it, got {}", where, Line::shown(item));
        texts.push_back(text);
    }
    return texts;
}

std::vector<Variant> variants(const Line& line) {
    const OrderedJson& languages = line.object(line.json(), "languages", "languages");
    if (languages.empty()) line.refuse("languages: empty");
    std::vector<Variant> all;
    for (const auto& [language, variant] : languages.items()) {
        line.filled_text(OrderedJson(language), "languages: a label");
        const std::string path = "languages." + language;
        line.object(languages, language, path);
        all.push_back({language, line.filled_text(variant, "question", path + ".question"),
                       answers(line, variant, path + ".answers")});
    }
    return all;
}

Question question(Line& line) {
    Question question{.id = line.take_id()};
    question.dataset = line.filled_text(line.json(), "dataset", "dataset");
    const auto relation = line.json().find("relation");
    if (relation != line.json().end() && !relation->is_null())
        question.relation = line.filled_text(*relation, "relation");
    question.variants = variants(line);
    return question;
}

/// The names, in the order in which they come.
void note(std::vector<std::string>& names, const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

/// Refuses a wanted name that is not among those that there are.
void check_names(const char* key, const std::vector<std::string>& wanted, const std::vector<std::string>& present) {
    for (const std::string& name : wanted)
        if (std::ranges::find(present, name) == present.end())
            fail(Exit::usage, "{}: no question of {}, there are {}", key, name, fmt::join(present, ", "));
}

bool is_wanted(const std::vector<std::string>& wanted, const std::string& name) {
    return wanted.empty() || std::ranges::find(wanted, name) != wanted.end();
}

}  // namespace

std::vector<Question> read_questions(const std::filesystem::path& path) {
    const std::string file = path.string();
    std::vector<Question> questions;
    std::unordered_map<std::string, std::size_t> seen;  // id -> line
    for_each_json_line(read_file(path), file, [&](const OrderedJson& json, std::size_t number) {
        Line line(json, file, number);
        questions.push_back(question(line));
        const auto [first, is_new] = seen.emplace(questions.back().id, number);
        if (!is_new) line.refuse("id: repeated, first in line {}", first->second);
    });
    return questions;
}

std::vector<Question> select_questions(std::vector<Question> questions, const XiciConfig::Questions& asked) {
    std::vector<std::string> datasets, languages;
    for (const Question& question : questions) note(datasets, question.dataset);
    check_names("questions.datasets", asked.datasets, datasets);
    std::erase_if(questions, [&](const Question& question) { return !is_wanted(asked.datasets, question.dataset); });

    for (const Question& question : questions)
        for (const Variant& variant : question.variants) note(languages, variant.language);
    check_names("questions.languages", asked.languages, languages);

    std::map<std::string, std::int64_t> taken;  // of each dataset
    std::erase_if(questions, [&](Question& question) {
        std::erase_if(question.variants, [&](const Variant& v) { return !is_wanted(asked.languages, v.language); });
        return question.variants.empty() || (asked.limit > 0 && taken[question.dataset]++ >= asked.limit);
    });
    return questions;
}

}  // namespace moesweep
