#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <set>

#include "moesweep/base/json.h"
#include "moesweep/xici/questions.h"
#include "support.h"

using namespace moesweep;

namespace {

OrderedJson variant(const std::string& question, std::vector<std::string> answers) {
    return {{"question", question}, {"answers", std::move(answers)}};
}

/// A line as users have them, with fields that nobody reads.
OrderedJson record(const OrderedJson& id) {
    return {{"id", id},
            {"dataset", "capitals"},
            {"title", "Mali"},
            {"languages",
             {{"en", variant("What is the capital of Mali?", {"Bamako"})},
              {"id", variant("Apa ibu kota Mali?", {"Bamako", "Bamako, Mali"})},
              {"de", {{"question", "Wie heißt Malis Hauptstadt?"}, {"answers", {"Bamako"}}, {"foil", "Dakar"}}}}}};
}

std::string lines(const std::vector<OrderedJson>& records) {
    std::string text;
    for (const OrderedJson& each : records) text += each.dump() + "\n";
    return text;
}

std::vector<Question> read(const std::string& text) {
    const Scratch scratch;
    std::ofstream(scratch / "q.jsonl", std::ios::binary) << text;
    return read_questions(scratch / "q.jsonl");
}

/// What reading the text is refused with, without the folder's name.
std::string refusal_of(const std::string& text) {
    const Scratch scratch;
    std::ofstream(scratch / "q.jsonl", std::ios::binary) << text;
    const Failure failure = failure_of([&] { read_questions(scratch / "q.jsonl"); });
    CHECK(failure.code == Exit::data);
    const std::string folder = scratch.folder().string() + "/";
    return failure.message.starts_with(folder) ? failure.message.substr(folder.size()) : failure.message;
}

/// Questions with these datasets and labels, called 0, 1, ...
std::vector<Question> some(const std::vector<std::pair<std::string, std::vector<std::string>>>& kinds) {
    std::vector<Question> questions;
    for (const auto& [dataset, languages] : kinds) {
        questions.push_back({std::to_string(questions.size()), dataset, "", {}});
        for (const std::string& language : languages) questions.back().variants.push_back({language, "?", {"a"}});
    }
    return questions;
}

/// "id:label+label id:label ..."
std::string shown(const std::vector<Question>& questions) {
    std::string text;
    for (const Question& question : questions) {
        text += fmt::format("{}{}:", text.empty() ? "" : " ", question.id);
        for (const Variant& v : question.variants) text += (&v == question.variants.data() ? "" : "+") + v.language;
    }
    return text;
}

}  // namespace

TEST_CASE("a line becomes a question, its variants in the order of the file") {
    OrderedJson other = record(17);
    other["relation"] = "capital";
    other["languages"] = {{"en-paraphrase-10", variant(" So?\u00e9 ", {" x "})}, {"en", variant("What?", {"$"})}};
    OrderedJson third = record("c");
    third["relation"] = nullptr;
    const std::vector<Question> questions = read(lines({record("a 1"), other, third}));
    REQUIRE(questions.size() == 3);
    CHECK(questions[0].id == "a 1");
    CHECK(questions[0].dataset == "capitals");
    CHECK(questions[0].relation.empty());
    REQUIRE(questions[0].variants.size() == 3);
    CHECK(questions[0].variants[1].language == "id");
    CHECK(questions[0].variants[1].question == "Apa ibu kota Mali?");
    CHECK(questions[0].variants[1].answers == std::vector<std::string>{"Bamako", "Bamako, Mali"});
    CHECK(questions[0].variants[2].language == "de");
    CHECK(questions[1].id == "17");
    CHECK(questions[1].relation == "capital");
    CHECK(shown({questions[1]}) == "17:en-paraphrase-10+en");
    CHECK(questions[1].variants[0].question == " So?\u00e9 ");
    CHECK(questions[1].variants[0].answers[0] == " x ");
    CHECK(questions[2].relation.empty());
}

TEST_CASE("line ends of Windows, blank lines, a byte order mark and a missing last line end do not matter") {
    std::string text = "\xef\xbb\xbf\r\n" + record("a").dump() + "\r\n \t\r\n\n" + record("b").dump();
    CHECK(shown(read(text)) == "a:en+id+de b:en+id+de");
    text[text.size() - 1] = ';';
    CHECK(refusal_of(text).starts_with("q.jsonl: line 5: byte "));
}

TEST_CASE("a bad line is named by file, number, id and field") {
    const auto in_id = [](auto change) { return [=](OrderedJson& r) { change(r["languages"]["id"]); }; };
    const std::string who = "q.jsonl: line 2 (id b): ", path = who + "languages.id";
    const std::vector<std::pair<std::function<void(OrderedJson&)>, std::string>> mistakes = {
        {[](OrderedJson& r) { r = 5; }, "q.jsonl: line 2: expected an object, got number"},
        {[](OrderedJson& r) { r.erase("id"); }, "q.jsonl: line 2: id: missing"},
        {[](OrderedJson& r) { r["id"] = ""; }, "q.jsonl: line 2: id: empty"},
        {[](OrderedJson& r) { r["id"] = 1.5; }, "q.jsonl: line 2: id: expected a text or a whole number, got 1.5"},
        {[](OrderedJson& r) { r["id"] = "1"; }, "q.jsonl: line 2 (id 1): id: repeated, first in line 1"},
        {[](OrderedJson& r) { r["id"] = 1, r["dataset"] = "else"; },
         "q.jsonl: line 2 (id 1): id: repeated, first in line 1"},
        {[](OrderedJson& r) { r.erase("dataset"); }, who + "dataset: missing"},
        {[](OrderedJson& r) { r["dataset"] = nullptr; }, who + "dataset: expected a text, got null"},
        {[](OrderedJson& r) { r["relation"] = ""; }, who + "relation: empty"},
        {[](OrderedJson& r) { r["relation"] = 36; }, who + "relation: expected a text, got 36"},
        {[](OrderedJson& r) { r.erase("languages"); }, who + "languages: missing"},
        {[](OrderedJson& r) { r["languages"] = {"en"}; }, who + "languages: expected an object, got [\"en\"]"},
        {[](OrderedJson& r) { r["languages"] = OrderedJson::object(); }, who + "languages: empty"},
        {[](OrderedJson& r) { r["languages"][""] = variant("a", {"b"}); }, who + "languages: a label: empty"},
        {[](OrderedJson& r) { r["languages"][" "] = variant("a", {"b"}); }, who + "languages: a label: blank"},
        {in_id([](OrderedJson& v) { v = nullptr; }), path + ": expected an object, got null"},
        {in_id([](OrderedJson& v) { v.erase("question"); }), path + ".question: missing"},
        {in_id([](OrderedJson& v) { v["question"] = ""; }), path + ".question: empty"},
        {in_id([](OrderedJson& v) { v["question"] = " \n"; }), path + ".question: blank"},
        {in_id([](OrderedJson& v) { v["question"] = std::string("a\0b", 3); }), path + ".question: has a zero byte"},
        {in_id([](OrderedJson& v) { v["question"] = {1}; }), path + ".question: expected a text, got [1]"},
        {in_id([](OrderedJson& v) { v.erase("answers"); }), path + ".answers: missing"},
        {in_id([](OrderedJson& v) { v["answers"] = "x"; }), path + ".answers: expected a list of texts, got \"x\""},
        {in_id([](OrderedJson& v) { v["answers"] = OrderedJson::array(); }), path + ".answers: empty"},
        {in_id([](OrderedJson& v) { v["answers"][1] = 3; }), path + ".answers[1]: expected a text, got 3"},
        {in_id([](OrderedJson& v) { v["answers"][1] = ""; }), path + ".answers[1]: empty"},
        {in_id([](OrderedJson& v) { v["answers"][1] = "…?"; }),
         path + ".answers[1]: no letter, digit or symbol in it, got \"…?\""},
    };
    for (const auto& [change, message] : mistakes) {
        OrderedJson wrong = record("b");
        change(wrong);
        CHECK(refusal_of(lines({record(1), wrong})) == message);
    }
}

TEST_CASE("what is shown of a value ends with a whole character") {
    OrderedJson wrong = record("b");
    std::string odd = "x";
    for (int i = 0; i < 40; ++i) odd += "é";
    wrong["dataset"] = {odd};
    const std::string refusal = refusal_of(lines({wrong}));
    CHECK(OrderedJson::accept(OrderedJson(refusal).dump()));  // dump() throws on a cut character
}

TEST_CASE("a file that holds no questions is named, with what it is") {
    const std::string array = "q.jsonl: expected JSON lines, got an array; `jq -c '.[]'` makes lines of it";
    CHECK(refusal_of("") == "q.jsonl: no record in it");
    CHECK(refusal_of("\n \n") == "q.jsonl: no record in it");
    CHECK(refusal_of(OrderedJson::array({record("a")}).dump()) == array);
    CHECK(refusal_of(OrderedJson::array({record("a")}).dump(2)) == array);
    CHECK(refusal_of(record("a").dump(2)) == "q.jsonl: line 1: byte 2: not valid JSON: it ends too early");
    CHECK(refusal_of(record("a").dump() + record("b").dump()).ends_with("not valid JSON: a second value in the line"));
    CHECK(refusal_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\n") ==
          "q.jsonl: line 1: a Git LFS pointer, not the file itself: `git lfs pull` fetches that");
    CHECK(refusal_of("\xff\xfe{\0") == "q.jsonl: line 1: text in UTF-16: save it in UTF-8");
    std::string twice = record("a").dump();
    twice.replace(twice.find("\"de\""), 4, "\"en\"");
    CHECK(refusal_of(twice) == "q.jsonl: line 1: en: appears twice");
    CHECK(failure_of([] { read_questions("absent.jsonl"); }).message == "absent.jsonl: no such file");
}

TEST_CASE("a file cut at any byte is refused, unless it is cut between two lines") {
    const std::string text = lines({record("a"), record("b")});
    const std::size_t first = text.find('\n');
    for (std::size_t size = 0; size < text.size(); ++size) {
        INFO(size);
        if (size == first || size == first + 1)
            CHECK(read(text.substr(0, size)).size() == 1);
        else if (size == text.size() - 1)
            CHECK(read(text.substr(0, size)).size() == 2);
        else if (size == 0)
            CHECK(refusal_of(text.substr(0, size)) == "q.jsonl: no record in it");
        else {
            const std::string place = fmt::format("q.jsonl: line {}: byte ", size < first ? 1 : 2);
            CHECK(refusal_of(text.substr(0, size)).starts_with(place));
        }
    }
}

TEST_CASE("a broken character or a raw zero byte is refused") {
    for (const std::string& bad : {std::string("\xff"), std::string("\xc3"), std::string("\xed\xa0\x80"),
                                   std::string("\0", 1), std::string("\\ud800")}) {
        std::string text = lines({record("a")});
        text.insert(text.find("Mali?"), bad);
        CHECK(refusal_of(text).starts_with("q.jsonl: line 1: byte "));
    }
}

TEST_CASE("datasets, languages and a number are selected") {
    const auto questions =
        some({{"k", {"de", "en"}}, {"x", {"en", "fr"}}, {"k", {"en"}}, {"x", {"fr"}}, {"k", {"fr", "de"}}});
    const auto selected = [&](std::vector<std::string> datasets, std::vector<std::string> languages, int limit) {
        return shown(select_questions(questions, {"", std::move(datasets), std::move(languages), limit}));
    };
    CHECK(selected({}, {}, 0) == "0:de+en 1:en+fr 2:en 3:fr 4:fr+de");
    CHECK(selected({"k"}, {}, 0) == "0:de+en 2:en 4:fr+de");
    CHECK(selected({"x", "k"}, {"fr", "de"}, 0) == "0:de 1:fr 3:fr 4:fr+de");
    CHECK(selected({}, {}, 1) == "0:de+en 1:en+fr");
    CHECK(selected({}, {"fr"}, 1) == "1:fr 4:fr");  // the limit counts what is asked
    CHECK(selected({"x"}, {}, 7) == "1:en+fr 3:fr");

    const Failure dataset = failure_of([&] { selected({"k", "y"}, {}, 0); });
    CHECK(dataset.code == Exit::usage);
    CHECK(dataset.message == "questions.datasets: no question of y, there are k, x");
    const Failure language = failure_of([&] { selected({"x"}, {"fr", "de"}, 0); });
    CHECK(language.code == Exit::usage);
    CHECK(language.message == "questions.languages: no question of de, there are en, fr");
}

TEST_CASE("the shared files are read whole") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: MOESWEEP_SHARED is not set");
        return;
    }
    const auto folder = *shared / "data/multilingual";
    const auto [file, dataset, n, languages, relations] =
        GENERATE(table<const char*, const char*, std::size_t, std::size_t, std::size_t>(
            {{"klar_qa.jsonl", "klar", 1172, 12, 1},
             {"xquad_short.jsonl", "xquad", 533, 12, 1},
             {"bmlama53_cloze.jsonl", "bmlama53", 379, 53, 7}}));
    const auto questions = read_questions(folder / file);
    CHECK(questions.size() == n);
    std::set<std::string> labels, kinds;
    for (const Question& question : questions) {
        CHECK(question.dataset == dataset);
        kinds.insert(question.relation);
        for (const Variant& v : question.variants) labels.insert(v.language);
    }
    CHECK(labels.size() == languages);
    CHECK(kinds.size() == relations);
    CHECK(questions[0].variants.size() == languages);
}
