#include "moesweep/base/json.h"

#include <catch2/catch.hpp>
#include <random>

#include "support.h"

using namespace moesweep;

namespace {

/// A random document, `depth` levels at most.
Json random_json(std::mt19937& random, int depth) {
    Json json;
    switch (random() % (depth > 0 ? 9 : 7)) {
        case 0:
            return nullptr;
        case 1:
            return random() % 2 == 0;
        case 2:
            return static_cast<std::int64_t>(random()) - 2'000'000'000;
        case 3:
            return std::uint64_t{random()} << 32;
        case 4:
            return std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 100);
        case 5:
            return "";
        case 6:
            return "\"\\\n\t\u00e9 " + std::to_string(random());
        case 7:
            json = Json::array();
            for (auto n = random() % 5; n > 0; --n) json.push_back(random_json(random, depth - 1));
            return json;
        default:
            json = Json::object();
            for (auto n = random() % 5; n > 0; --n)
                json[std::to_string(random() % 50)] = random_json(random, depth - 1);
            return json;
    }
}

std::string refusal_of(const std::string& text) {
    const Failure failure = failure_of([&] { parse_json(text, "file"); });
    CHECK(failure.code == Exit::data);
    return failure.message;
}

}  // namespace

TEST_CASE("a document is what the library's own parser makes of it") {
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
        const std::string text = random_json(random, 6).dump(round % 2 == 0 ? -1 : 2);
        REQUIRE(parse_json(text, "file") == Json::parse(text));
        REQUIRE(parse_json(text, "file").dump() == Json::parse(text).dump());
    }
}

TEST_CASE("a broken document is refused at the byte that the library names") {
    std::mt19937 random(8);
    int refused = 0;
    for (int round = 0; round < 500; ++round) {
        std::string text = random_json(random, 6).dump();
        text[random() % text.size()] = R"({}[]",:0e-)"[random() % 10];
        if (Json::accept(text)) continue;
        ++refused;
        try {
            const Json none = Json::parse(text);
        } catch (const Json::parse_error& broken) {
            const std::string expected = fmt::format("file: byte {}: not valid JSON", broken.byte);
            const std::string refusal = refusal_of(text);
            REQUIRE(refusal.substr(0, expected.size()) == expected);
            const std::string_view why = std::string_view(refusal).substr(expected.size());
            REQUIRE((why.empty() || why.starts_with(": line 1: ")));
        } catch (const Json::out_of_range&) {
            REQUIRE(refusal_of(text) == "file: holds a number beyond the range of double");
        }
    }
    CHECK(refused > 100);
    CHECK(refusal_of("") == "file: byte 1: not valid JSON: line 1: the file is empty");
    CHECK(refusal_of("{} 1") == "file: byte 4: not valid JSON");
}

TEST_CASE("what other readers take or other writers write is named, with its line") {
    const auto [text, why] = GENERATE(table<std::string, std::string>({
        {"{\"a\": 1,\n\"b\": [0.0, Infinity]}", "byte 21: not valid JSON: line 2: Infinity is not a number in JSON"},
        {"{\"a\": -Infinity}", "byte 8: not valid JSON: line 1: -Infinity is not a number in JSON"},
        {"{\n\n\"a\":\nNaN}", "byte 9: not valid JSON: line 4: NaN is not a number in JSON"},
        {"// exported\n{}", "byte 1: not valid JSON: line 1: JSON has no comments"},
        {"{\"a\": 1, # so\n\"b\": 2}", "byte 10: not valid JSON: line 1: JSON has no comments"},
        {"{\"a\": 1 /* so */}", "byte 9: not valid JSON: line 1: JSON has no comments"},
        {"{\"a\": 1,\n}", "byte 10: not valid JSON: line 2: a comma after the last element"},
        {"[1, 2, ]", "byte 8: not valid JSON: line 1: a comma after the last element"},
        {"{'a': 1}", "byte 2: not valid JSON: line 1: written as Python prints it, not as JSON"},
        {"{\"a\": True}", "byte 7: not valid JSON: line 1: written as Python prints it, not as JSON"},
        {"{\"a\": 1}\n{\"a\": 2}\n",
         "byte 10: not valid JSON: line 2: a second value after the first; `jq -s .` makes one array of JSON lines"},
        {"{\"a\": 1}}", "byte 9: not valid JSON"},
        {"{\"a\":\n[1, ", "byte 11: not valid JSON: line 2: it ends too early"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n",
         "a Git LFS pointer, not the file itself: `git lfs pull` fetches that"},
        {"\n <!DOCTYPE html><html></html>", "an HTML page, left by a failed download: download the file again"},
        {"\x1f\x8b\x08", "compressed by gzip: unpack it"},
        {"\xff\xfe{", "text in UTF-16: save it in UTF-8"},
    }));
    INFO(text);
    CHECK(refusal_of(text) == "file: " + why);
}

TEST_CASE("what the library would take is refused: a repeated key, a number beyond double, bottomless nesting") {
    CHECK(refusal_of(R"({"a":1,"b":[{"c":{},"d":2,"c":3}]})") == "file: c: appears twice");
    CHECK(refusal_of(R"({"a":{},"a":1)") == "file: a: appears twice");
    CHECK(parse_json(R"([{"a":1},{"a":2,"b":{"a":3}}])", "file")[1]["b"]["a"] == 3);
    CHECK(refusal_of("[1e999]") == "file: holds a number beyond the range of double");
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(parse_json(nested(256), "file").size() == 1);
    CHECK(refusal_of(nested(257)) == "file: nested more than 256 deep");
}

TEST_CASE("JSON lines come one by one, members in the order of the file") {
    const auto read = [](std::string_view text) {
        std::string seen;
        for_each_json_line(text, "file", [&](const OrderedJson& value, std::size_t line) {
            seen += std::to_string(line) + value.dump() + ";";
        });
        return seen;
    };
    CHECK(read("{\"b\":1,\"a\":{\"z\":2,\"y\":3}}\n\n \r\n5\r\n\"x\"") == R"(1{"b":1,"a":{"z":2,"y":3}};45;5"x";)");
    CHECK(read("\xef\xbb\xbf{}\n[]") == "1{};2[];");
    const auto refusal = [&](std::string_view text) {
        const Failure failure = failure_of([&] { read(text); });
        CHECK(failure.code == Exit::data);
        return failure.message;
    };
    CHECK(refusal("") == "file: no record in it");
    CHECK(refusal(" \n\r\n") == "file: no record in it");
    CHECK(refusal("{}\n{\"a\": 1,}") == "file: line 2: byte 9: not valid JSON: a comma after the last element");
    CHECK(refusal("{}\n\n{\"a\":") == "file: line 3: byte 6: not valid JSON: it ends too early");
    CHECK(refusal("{} {}") == "file: line 1: byte 4: not valid JSON: a second value in the line");
    CHECK(refusal("{\"a\":1,\"b\":{},\"a\":2}") == "file: line 1: a: appears twice");
    CHECK(refusal("{}\n[1e999]") == "file: line 2: holds a number beyond the range of double");
    CHECK(refusal(" [{}]") == "file: expected JSON lines, got an array; `jq -c '.[]'` makes lines of it");
}
