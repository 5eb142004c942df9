#include <algorithm>
#include <functional>
#include <map>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "moesweep/base/json.h"
#include "moesweep/tracing/cases.h"
#include "support.h"

using namespace moesweep;

namespace {

Json record(std::int64_t id) {
    return {{"case_id", id},
            {"requested_rewrite",
             {{"prompt", "The mother tongue of {} is"},
              {"relation_id", "P103"},
              {"target_new", {{"str", "English"}, {"id", "Q1860"}}},
              {"target_true", {{"str", "French"}, {"id", "Q150"}}},
              {"subject", "Danielle Darrieux"}}}};
}

std::vector<Fact> read(const Json& json) {
    const Scratch scratch;
    write_file_atomically(scratch / "facts.json", json.dump());
    return read_facts(scratch / "facts.json");
}

/// What reading the text fails with, without the folder's name.
Failure failure_of_text(const std::string& text) {
    const Scratch scratch;
    write_file_atomically(scratch / "facts.json", text);
    Failure failure = failure_of([&] { read_facts(scratch / "facts.json"); });
    const std::string folder = scratch.folder().string() + "/";
    if (failure.message.starts_with(folder)) failure.message.erase(0, folder.size());
    return failure;
}

/// The same for two records of which the second is changed.
Failure failure_after(const std::function<void(Json&)>& change) {
    Json facts = {record(3), record(70)};
    change(facts[1]);
    return failure_of_text(facts.dump());
}

}  // namespace

TEST_CASE("a record becomes a fact with its prompt filled") {
    Json other = record(7);
    other["requested_rewrite"]["prompt"] = "Ünter {}\u2019s \u65e5\u672c {";
    other["requested_rewrite"]["subject"] = "\u00c9mile {x}";
    other["requested_rewrite"]["relation_id"] = nullptr;
    other["requested_rewrite"]["target_true"]["str"] = " Paris ";
    const std::vector<Fact> facts = read({record(-3), other});
    REQUIRE(facts.size() == 2);
    CHECK(facts[0].case_id == -3);
    CHECK(facts[0].relation == "P103");
    CHECK(facts[0].subject == "Danielle Darrieux");
    CHECK(facts[0].prompt == "The mother tongue of Danielle Darrieux is");
    CHECK(facts[0].subject_offset == 21);
    CHECK(facts[0].true_text == "French");
    CHECK(facts[0].foil_text == "English");
    CHECK(facts[1].relation.empty());
    CHECK(facts[1].prompt == "Ünter \u00c9mile {x}\u2019s \u65e5\u672c {");
    CHECK(facts[1].subject_offset == 6);  // code points, not bytes
    CHECK(facts[1].true_text == "Paris");
}

TEST_CASE("code points are counted, not bytes") {
    CHECK(code_points("") == 0);
    CHECK(code_points("abc") == 3);
    CHECK(code_points("\u00e9\u65e5\U0001F600x") == 4);
}

TEST_CASE("a bad record is named by file, index, case_id and field") {
    const auto rewrite = [](auto change) { return [=](Json& r) { change(r["requested_rewrite"]); }; };
    const std::string who = "facts.json: record 1 (case_id 70): ";
    const std::vector<std::pair<std::function<void(Json&)>, std::string>> mistakes = {
        {[](Json& r) { r.erase("case_id"); }, "facts.json: record 1: case_id: missing"},
        {[](Json& r) { r["case_id"] = "70"; }, "facts.json: record 1: case_id: expected a whole number, got \"70\""},
        {[](Json& r) { r["case_id"] = 1.5; }, "facts.json: record 1: case_id: expected a whole number, got 1.5"},
        {[](Json& r) { r["case_id"] = 9223372036854775808ull; },
         "facts.json: record 1: case_id: expected a number within +-4611686018427387904, got 9223372036854775808"},
        {[](Json& r) { r["case_id"] = 3; }, "facts.json: record 1 (case_id 3): case_id: repeated, first in record 0"},
        {[](Json& r) { r = 5; }, "facts.json: record 1: expected an object, got number"},
        {[](Json& r) { r.erase("requested_rewrite"); }, who + "requested_rewrite: missing"},
        {[](Json& r) { r["requested_rewrite"] = "x"; }, who + "requested_rewrite: expected an object, got \"x\""},
        {rewrite([](Json& r) { r.erase("subject"); }), who + "requested_rewrite.subject: missing"},
        {rewrite([](Json& r) { r["subject"] = ""; }), who + "requested_rewrite.subject: empty"},
        {rewrite([](Json& r) { r["subject"] = nullptr; }),
         who + "requested_rewrite.subject: expected a text, got null"},
        {rewrite([](Json& r) { r.erase("relation_id"); }), who + "requested_rewrite.relation_id: missing"},
        {rewrite([](Json& r) { r.erase("prompt"); }), who + "requested_rewrite.prompt: missing"},
        {rewrite([](Json& r) { r["prompt"] = "The mother tongue is"; }),
         who + "requested_rewrite.prompt: expected exactly one {} for the subject, got \"The mother tongue is\""},
        {rewrite([](Json& r) { r["prompt"] = "{} and {}"; }),
         who + "requested_rewrite.prompt: expected exactly one {} for the subject, got \"{} and {}\""},
        {rewrite([](Json& r) { r["target_true"].erase("str"); }), who + "requested_rewrite.target_true.str: missing"},
        {rewrite([](Json& r) { r["target_new"] = "English"; }),
         who + "requested_rewrite.target_new: expected an object, got \"English\""},
        {rewrite([](Json& r) { r["target_new"]["str"] = "  "; }), who + "requested_rewrite.target_new.str: empty"},
    };
    for (const auto& [change, message] : mistakes) {
        const Failure failure = failure_after(change);
        CHECK(failure.code == Exit::data);
        CHECK(failure.message == message);
    }
}

TEST_CASE("a file that holds no facts is named") {
    CHECK(failure_of_text("[]").message == "facts.json: no record in it");
    CHECK(failure_of_text("{}").message == "facts.json: expected an array of records, got object");
    CHECK(failure_of([] { read_facts("absent.json"); }).message == "absent.json: no such file");
    for (const char* text : {"[]", "{}"}) CHECK(failure_of_text(text).code == Exit::data);
}

TEST_CASE("JSON that breaks at a byte is named by file and byte") {
    std::string text = Json({record(3), record(70)}).dump();
    const std::size_t comma = text.find(",\"requested_rewrite\"", text.size() / 2);
    REQUIRE(comma != text.npos);
    text[comma] = ';';
    const Failure failure = failure_of_text(text);
    CHECK(failure.code == Exit::data);
    CHECK(failure.message == "facts.json: byte " + std::to_string(comma + 1) + ": not valid JSON");
    const Failure truncated = failure_of_text(text.substr(0, 40));
    CHECK(truncated.message == "facts.json: byte 41: not valid JSON: line 1: it ends too early");
    CHECK(failure_of_text("").message == "facts.json: byte 1: not valid JSON: line 1: the file is empty");
    CHECK(failure_of_text("[{\"case_id\": \"\xff\"}]").code == Exit::data);  // not UTF-8
}

TEST_CASE("CounterFact is read whole, and the paper's cases have its relations") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: MOESWEEP_SHARED is not set");
        return;
    }
    const std::vector<Fact> facts = read_facts(*shared / "data/counterfact.json");
    REQUIRE(facts.size() == 21919);
    CHECK(facts[0].prompt == "The mother tongue of Danielle Darrieux is");
    CHECK(std::ranges::count(facts, "", &Fact::relation) == 51);

    const Json ids = Json::parse(read_file(*shared / "paper/case_ids.json"));
    const Json tables = Json::parse(read_file(*shared / "paper/tables.json"));
    for (const auto& [name, key] : {std::pair("Qwen3", "qwen3"), std::pair("Mixtral", "mixtral")}) {
        std::map<std::string, int> counts;
        for (const char* half : {"discovery", "validation"})
            for (const std::size_t id : ids["cases"][name][half]) {
                REQUIRE(facts.at(id).case_id == static_cast<std::int64_t>(id));
                counts[facts[id].relation]++;
            }
        for (const auto& [relation, count] : tables["table4_relations"][key].items()) {
            INFO(name << " " << relation);
            CHECK(counts[relation] == count.get<int>());
        }
    }
}
