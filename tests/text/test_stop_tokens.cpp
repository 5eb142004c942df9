// The tokens that end an answer, from made-up folders. tests/oracle/test_text.py compares with transformers.
#include "moesweep/text/stop_tokens.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "small_tokenizers.h"
#include "support.h"

using namespace moesweep;

namespace {

using Ids = std::vector<std::int32_t>;
using Catch::Matchers::Contains;

/// A model's folder with files beside its tokenizer; an empty content is no file.
struct Folder {
    Folder() { write("tokenizer.json", mark_tokenizer().dump()); }
    void write(const char* name, const std::string& content) const {
        if (content.empty())
            std::filesystem::remove(scratch / name);
        else
            std::ofstream(scratch / name) << content;
    }
    StopTokens stop() const { return stop_tokens(scratch.folder(), Tokenizer(scratch.folder())); }

    Scratch scratch;
};

}  // namespace

TEST_CASE("generation_config.json, else config.json, and the tokenizer's eos_token") {
    const Folder folder;
    CHECK(folder.stop().ids.empty());
    folder.write("config.json", R"({"eos_token_id": 5})");
    CHECK(folder.stop().ids == Ids{5});
    folder.write("config.json", R"({"eos_token_id": [6, 5, 6]})");
    CHECK(folder.stop().ids == Ids{5, 6});
    folder.write("generation_config.json", R"({"eos_token_id": 3})");
    CHECK(folder.stop().ids == Ids{3});
    CHECK(folder.stop().note.empty());
    folder.write("generation_config.json", R"({"eos_token_id": null})");  // generate() does not go on to config.json
    CHECK(folder.stop().ids.empty());
    folder.write("tokenizer_config.json", R"({"eos_token": "<s>"})");
    CHECK(folder.stop().ids == Ids{1});
    folder.write("tokenizer_config.json", R"({"eos_token": {"content": "<s>", "special": true}})");
    folder.write("generation_config.json", R"({"eos_token_id": [3, 1]})");
    CHECK(folder.stop().ids == Ids{1, 3});
    CHECK(folder.stop().note.empty());
    folder.write("generation_config.json", R"({"eos_token_id": [3]})");
    CHECK(folder.stop().ids == Ids{1, 3});
    CHECK_THAT(folder.stop().note, Contains("'<s>'") && Contains("generation_config.json does not name it"));
    folder.write("generation_config.json", "");
    CHECK_THAT(folder.stop().note, Contains("for config.json does not name it"));
}

TEST_CASE("mistakes in the files of stop tokens are named") {
    const Folder folder;
    const auto message = [&](const char* name, const std::string& content) {
        folder.write(name, content);
        const Failure failure = failure_of([&] { folder.stop(); });
        folder.write(name, "");
        CHECK(failure.code == Exit::data);
        CHECK_THAT(failure.message, !Contains("\n"));
        return failure.message;
    };
    for (const char* file : {"generation_config.json", "config.json"}) {
        const std::string at = std::string(file) + ": eos_token_id";
        for (const char* value : {"\"2\"", "true", "2.5", "-1", "{}", "99999999999"})
            CHECK_THAT(message(file, fmt::format(R"({{"eos_token_id": {}}})", value)),
                       Contains(at + ": expected a token id in [0, "));
        CHECK_THAT(message(file, R"({"eos_token_id": 10})"), Contains(at + ": expected a token of tokenizer.json"));
        CHECK_THAT(message(file, R"({"eos_token_id": [3, 10]})"),
                   Contains(at + ".1: expected a token of tokenizer.json, found 10"));
        CHECK_THAT(message(file, R"({"eos_token_id": [3, null]})"), Contains(at + ".1: expected a token id"));
        CHECK_THAT(message(file, "{"), Contains(std::string(file) + ": byte 2: not valid JSON"));
        CHECK_THAT(message(file, "[]"), Contains(std::string(file) + ": expected an object"));
    }
    CHECK_THAT(message("tokenizer_config.json", R"({"eos_token": "<end>"})"),
               Contains("tokenizer_config.json: eos_token: expected a token of tokenizer.json, found \"<end>\""));
    CHECK_THAT(message("tokenizer_config.json", R"({"eos_token": 3})"), Contains("eos_token: expected a string"));
    CHECK_THAT(message("tokenizer_config.json", R"({"eos_token": {}})"), Contains("eos_token.content: missing"));
}
