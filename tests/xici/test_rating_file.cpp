#include "moesweep/xici/rating_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "moesweep/base/files.h"
#include "moesweep/base/json.h"
#include "support.h"

using namespace moesweep;

namespace {

std::vector<AnswerToRate> answers() {
    return {{"q1", "de", "asked", "Was?", {"Eins"}, "eins\n\"zwei\" \u00e9"},
            {"q1", "en", "asked", "What?", {"One", "1"}, ""},
            {"7", "en", "asked", "Who?", {"She"}, "She"}};
}

std::vector<AnswerToRate> under(std::vector<AnswerToRate> all, const std::string& condition) {
    for (AnswerToRate& each : all) each.condition = condition;
    return all;
}

std::vector<AnswerToRate> under_two() {
    std::vector<AnswerToRate> both = answers();
    std::ranges::copy(under(answers(), "xici"), std::back_inserter(both));
    return both;
}

OrderedJson rating(const OrderedJson& id, const char* language, const char* condition, bool right) {
    OrderedJson line = {{"id", id}, {"language", language}, {"right", right}};
    if (condition) line["condition"] = condition;
    return line;
}

std::string lines(const std::vector<OrderedJson>& records) {
    std::string text;
    for (const OrderedJson& each : records) text += each.dump() + "\n";
    return text;
}

Ratings read(const std::string& text, const std::vector<AnswerToRate>& rated) {
    const Scratch scratch;
    std::ofstream(scratch / "r.jsonl", std::ios::binary) << text;
    return read_ratings(scratch / "r.jsonl", rated);
}

std::string refusal_of(const std::string& text, const std::vector<AnswerToRate>& rated) {
    const Scratch scratch;
    std::ofstream(scratch / "r.jsonl", std::ios::binary) << text;
    const Failure failure = failure_of([&] { read_ratings(scratch / "r.jsonl", rated); });
    CHECK(failure.code == Exit::data);
    const std::string folder = scratch.folder().string() + "/";
    return failure.message.starts_with(folder) ? failure.message.substr(folder.size()) : failure.message;
}

}  // namespace

TEST_CASE("answers go out whole, a line each") {
    const Scratch scratch;
    write_answers(scratch / "a.jsonl", answers());
    CHECK(
        read_file(scratch / "a.jsonl") ==
        R"({"id":"q1","language":"de","condition":"asked","question":"Was?","reference":"Eins","answers":["Eins"],)"
        "\"answer\":\"eins\\n\\\"zwei\\\" \u00e9\"}\n"
        R"({"id":"q1","language":"en","condition":"asked","question":"What?","reference":"One","answers":["One","1"],)"
        R"("answer":""})"
        "\n"
        R"({"id":"7","language":"en","condition":"asked","question":"Who?","reference":"She","answers":["She"],)"
        R"("answer":"She"})"
        "\n");
}

TEST_CASE("what goes out comes back with a verdict in each line, in any order") {
    const std::vector<AnswerToRate> all = under_two();
    const Scratch scratch;
    write_answers(scratch / "a.jsonl", all);
    std::vector<std::string> rated;
    for_each_json_line(read_file(scratch / "a.jsonl"), "a.jsonl", [&](const OrderedJson& line, std::size_t number) {
        OrderedJson with = line;
        with["right"] = number % 3 == 1;
        rated.push_back(with.dump() + "\n");
    });
    std::ranges::reverse(rated);
    std::string text;
    for (const std::string& line : rated) text += line;
    const Ratings ratings = read(text, all);
    CHECK(ratings.right == std::vector<bool>{true, false, false, true, false, false});
    CHECK(ratings.other_conditions == 0);

    // the same file for the answers of one condition
    const Ratings some = read(text, under(answers(), "xici"));
    CHECK(some.right == std::vector<bool>{true, false, false});
    CHECK(some.other_conditions == 3);
}

TEST_CASE("a condition may be left out where there is one, and an id be a number") {
    const std::vector<OrderedJson> all = {rating(7, "en", nullptr, true), rating("q1", "en", "asked", true),
                                          rating("q1", "de", nullptr, false)};
    CHECK(read(lines(all), answers()).right == std::vector<bool>{false, true, true});
    CHECK(refusal_of(lines(all), under_two()) ==
          "r.jsonl: line 1 (id 7): condition: missing, it is one of asked, xici");
}

TEST_CASE("a wrong rating is named by file, line, id and field") {
    const OrderedJson good = rating("q1", "de", "asked", true);
    const auto with = [&](const char* field, const OrderedJson& value) {
        OrderedJson line = rating("q1", "en", "asked", true);
        line[field] = value;
        return line;
    };
    OrderedJson unrated = with("x", 1), nameless = unrated, speechless = unrated;
    unrated.erase("right");
    nameless.erase("id");
    speechless.erase("language");
    const std::vector<std::pair<OrderedJson, std::string>> mistakes = {
        {5, "r.jsonl: line 2: expected an object, got number"},
        {nameless, "r.jsonl: line 2: id: missing"},
        {with("id", "q2"), "r.jsonl: line 2 (id q2): id: no such question was asked"},
        {with("id", nullptr), "r.jsonl: line 2: id: expected a text or a whole number, got null"},
        {speechless, "r.jsonl: line 2 (id q1): language: missing"},
        {with("language", "fr"), "r.jsonl: line 2 (id q1): language: the question was not asked in fr"},
        {with("condition", 3), "r.jsonl: line 2 (id q1): condition: expected a text, got 3"},
        {unrated, "r.jsonl: line 2 (id q1): right: missing"},
        {with("right", 1), "r.jsonl: line 2 (id q1): right: expected true or false, got 1"},
        {with("right", "true"), "r.jsonl: line 2 (id q1): right: expected true or false, got \"true\""},
        {good, "r.jsonl: line 2 (id q1): repeated, first in line 1"},
        {with("answer", "One"),
         "r.jsonl: line 2 (id q1): answer: another one than this run's, which is \"\", got \"One\""},
    };
    for (const auto& [line, message] : mistakes) CHECK(refusal_of(lines({good, line}), answers()) == message);

    std::vector<AnswerToRate> uneven = under_two();
    uneven.pop_back();
    const std::string refusal = refusal_of(lines({rating("7", "en", "xici", true)}), uneven);
    CHECK(refusal.find("answers are not rated, the first is") != std::string::npos);  // that one counts for none
}

TEST_CASE("answers without a rating are counted, and the first is named") {
    const std::string one = lines({rating("q1", "en", "asked", true)});
    CHECK(refusal_of(one, answers()) ==
          "r.jsonl: 2 of 3 answers are not rated, the first is id q1, language de, condition asked");
    const std::string mistyped =
        lines({rating("q1", "de", "asked", true), rating("q1", "en", "asked", true), rating("7", "en", "askd", true)});
    CHECK(refusal_of(mistyped, answers()) ==
          "r.jsonl: 1 of 3 answers are not rated, the first is id 7, language en, condition asked");
    CHECK(refusal_of("", answers()) == "r.jsonl: no record in it");
    CHECK(refusal_of(one.substr(0, one.size() / 2), answers()).starts_with("r.jsonl: line 1: byte "));
}
