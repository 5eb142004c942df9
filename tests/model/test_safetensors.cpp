#include "moesweep/model/safetensors.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <random>

#include "safetensors_bytes.h"
#include "support.h"

using namespace moesweep;

namespace {

/// What a file of these bytes is refused for, without its name in front.
std::string refusal_of(const std::string& bytes) {
    const Scratch scratch;
    write_bytes(scratch / "t.safetensors", bytes);
    const InputFile file(scratch / "t.safetensors");
    const Failure failure = failure_of([&] { read_tensors(file); });
    CHECK(failure.code == Exit::data);
    const std::string name = (scratch / "t.safetensors").string() + ": ";
    REQUIRE(failure.message.starts_with(name));
    return failure.message.substr(name.size());
}

/// Two tensors of two bytes each, "b" before "a" in the file; "b" begins at byte 3, behind three bytes of "c".
const std::string sound_header =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[7,11]},)"
    R"("c":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F32","shape":[],"data_offsets":[3,7]},)"
    R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[11,11]}}  )";
const std::string sound_data = "cccbbbbaaaa";

}  // namespace

TEST_CASE("A file's tensors have their type, shape and bytes, aligned or not") {
    const Scratch scratch;
    write_bytes(scratch / "t.safetensors", file_of(sound_header, sound_data));
    const InputFile file(scratch / "t.safetensors");
    std::map<std::string, TensorView> tensors;
    for (const TensorView& view : read_tensors(file)) tensors.emplace(view.name, view);
    REQUIRE(tensors.size() == 4);
    CHECK(text_of(tensors.at("a")) == "aaaa");
    CHECK(text_of(tensors.at("b")) == "bbbb");
    CHECK(text_of(tensors.at("c")) == "ccc");
    CHECK((tensors.at("a").shape == Shape{1, 2} && tensors.at("b").shape == Shape{}));
    CHECK((tensors.at("none").shape == Shape{0, 4} && tensors.at("none").bytes == 0));
    CHECK((tensors.at("a").dtype == "BF16" && tensors.at("c").dtype == "U8"));
    CHECK(tensors.at("c").where() == (scratch / "t.safetensors").string());
    std::string part(2, '\0');
    tensors.at("b").read(2, std::as_writable_bytes(std::span(part)));
    CHECK(part == "bb");
}

TEST_CASE("A header that does not describe its data is refused by name") {
    const auto header = [](const std::string& fields) { return "{\"t\":{" + fields + "}}"; };
    const auto [entry, words] = GENERATE(table<std::string, std::string>({
        {R"("dtype":"F32","shape":[2],"data_offsets":[0,4])",
         "t: data_offsets: expected 8 bytes for F32 [2], got [0, 4)"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[4,0])",
         "t: data_offsets: expected 4 bytes for F32 [1], got [4, 0)"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[1,5])",
         "t: data_offsets: hole at byte 1, expected to begin at 0"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[0])", "t: data_offsets: expected 2 numbers, got 1"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[0.0,4])",
         "t: data_offsets: expected a list of whole numbers >= 0, got [0.0,4]"},
        {R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])",
         "t: shape: expected a list of whole numbers >= 0, got [-1]"},
        {R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4])", "t: shape: too large"},
        {R"("dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0])", "t: shape: too large"},
        {R"("dtype":"F33","shape":[1],"data_offsets":[0,4])", "t: dtype: unknown 'F33'"},
        {R"("shape":[1],"data_offsets":[0,4])", "t: dtype: missing"},
    }));
    CHECK(refusal_of(file_of(header(entry), "1234")) == words);
}

TEST_CASE("A file that is cut, too long or no safetensors file is refused by name") {
    const std::string whole = file_of(sound_header, sound_data);
    CHECK(refusal_of("").starts_with("header: file has only 0 bytes"));
    CHECK(refusal_of(whole.substr(0, 20)) ==
          fmt::format("header: truncated, expected {} bytes, got 12", sound_header.size()));
    CHECK(refusal_of(whole.substr(0, whole.size() - 1)) == "truncated: expected 11 bytes of data, got 10");
    CHECK(refusal_of(whole + "x") == "data: 1 bytes belong to no tensor");
    CHECK(refusal_of("PK\3\4 is how a zip file begins").starts_with("a zip archive, "));
    CHECK(refusal_of(std::string(8, '\xff') + "{}") == "header: 18446744073709551615 bytes, at most 100000000");
    CHECK(refusal_of(file_of("[]", "")) == "header: does not begin with '{'");
    CHECK(refusal_of(file_of("{\"t\":1}", "")) == "t: not an object");
    CHECK(refusal_of(file_of("{\"t\":", "")).starts_with("header: byte 6: not valid JSON"));
    CHECK(refusal_of(file_of("{\"t\":{},\"t\":{}}", "")) == "header: t: appears twice");
    const std::string pair =
        R"({"s":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"t":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})";
    CHECK(refusal_of(file_of(pair, "123")) == "t: data_offsets: overlap at byte 1, expected to begin at 2");
}

TEST_CASE("Whatever bytes change in a file, it is refused by name or describes its data whole") {
    const Scratch scratch;
    const std::string whole = file_of(sound_header, sound_data), alphabet = R"(0123456789{}[]",:-.eFU8 )";
    std::mt19937 random(20);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    int accepted = 0, refused = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string bytes = whole;
        for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
            const std::size_t at = below(bytes.size());
            const char value = below(4) == 0 ? static_cast<char>(below(256)) : alphabet[below(alphabet.size())];
            if (const auto how = below(8); how == 0)
                bytes.erase(at, 1 + below(4));
            else if (how == 1)
                bytes.insert(at, 1, value);
            else
                bytes[at] = value;
            if (bytes.empty()) bytes.push_back('x');
        }
        write_bytes(scratch / "t.safetensors", bytes);
        const InputFile file(scratch / "t.safetensors");
        const Failure failure = failure_of([&] {
            std::size_t covered = 0;
            for (const TensorView& view : read_tensors(file)) {
                for (const auto extent : view.shape) REQUIRE(extent >= 0);
                covered += text_of(view).size();
            }
            REQUIRE(covered <= bytes.size() - 8);
            ++accepted;
        });
        if (failure.code == Exit::done) continue;
        REQUIRE(failure.code == Exit::data);
        REQUIRE(failure.message.starts_with((scratch / "t.safetensors").string() + ": "));
        ++refused;
    }
    CHECK(refused > 2000);
    CHECK(accepted > 100);  // a changed name, metadata or datum is none of the reader's business
}
