#include "moesweep/safetensors.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "support.h"

using namespace moesweep;

namespace {

using Shape = std::vector<std::int64_t>;

/// A safetensors file: the header's length in 8 bytes, the header, the data.
std::string file_of(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int byte = 0; byte < 8; ++byte) bytes += static_cast<char>(header.size() >> (8 * byte) & 0xff);
    return bytes + header + data;
}

void write(const std::filesystem::path& path, const std::string& bytes) {
    std::filesystem::remove(path);  // ext4 writes a file out at once whose old content was cut off
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string text_of(const TensorView& view) {
    std::string text(view.bytes, '\0');
    view.read(0, std::as_writable_bytes(std::span(text)));
    return text;
}

/// What a folder with this one file is refused for, without the file's name in front.
std::string refusal_of(const std::string& bytes) {
    const Scratch scratch;
    write(scratch / "model.safetensors", bytes);
    const Failure failure = failure_of([&] { Checkpoint checkpoint(scratch.folder()); });
    CHECK(failure.code == Exit::data);
    const std::string name = (scratch / "model.safetensors").string() + ": ";
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
    write(scratch / "model.safetensors", file_of(sound_header, sound_data));
    const Checkpoint checkpoint(scratch.folder());
    REQUIRE(checkpoint.tensors().size() == 4);
    CHECK(text_of(checkpoint.get("a", Shape{1, 2})) == "aaaa");
    CHECK(text_of(checkpoint.get("b", Shape{})) == "bbbb");
    CHECK(text_of(*checkpoint.find("c")) == "ccc");
    CHECK(checkpoint.get("none", Shape{0, 4}).bytes == 0);
    CHECK(checkpoint.find("c")->dtype == "U8");
    std::string part(2, '\0');
    checkpoint.find("b")->read(2, std::as_writable_bytes(std::span(part)));
    CHECK(part == "bb");
    CHECK(checkpoint.find("d") == nullptr);
    CHECK(checkpoint.files() == std::vector{scratch / "model.safetensors"});

    CHECK(failure_of([&] { checkpoint.get("d", Shape{1}); }).message ==
          scratch.folder().string() + ": d: missing tensor");
    const std::string file = (scratch / "model.safetensors").string();
    CHECK(failure_of([&] {
              checkpoint.get("a", Shape{2, 1});
          }).message == file + ": a: expected shape [2, 1], got [1, 2]");
    CHECK(failure_of([&] { checkpoint.get("a", Shape{1}); }).message == file + ": a: expected shape [1], got [1, 2]");
    CHECK(failure_of([&] { checkpoint.get("c", Shape{3}); }).message ==
          file + ": c: dtype U8 is not supported, expected BF16, F16 or F32");
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
    CHECK(refusal_of("PK\3\4 is how a zip file begins").starts_with("header: "));
    CHECK(refusal_of(std::string(8, '\xff') + "{}") == "header: 18446744073709551615 bytes, at most 100000000");
    CHECK(refusal_of(file_of("[]", "")) == "header: does not begin with '{'");
    CHECK(refusal_of(file_of("{\"t\":1}", "")) == "t: not an object");
    CHECK(refusal_of(file_of("{\"t\":", "")).starts_with("header: byte 6: not valid JSON"));
    CHECK(refusal_of(file_of("{\"t\":{},\"t\":{}}", "")) == "header: t: appears twice");
    const std::string pair =
        R"({"s":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"t":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})";
    CHECK(refusal_of(file_of(pair, "123")) == "t: data_offsets: overlap at byte 1, expected to begin at 2");
}

TEST_CASE("An index joins its shards and is held to them") {
    const Scratch scratch;
    const auto shard = [](const std::string& name, const std::string& data) {
        return file_of(fmt::format(R"({{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}})", name), data);
    };
    const auto refusal = [&](const std::string& index) {
        write(scratch / "model.safetensors.index.json", index);
        return failure_of([&] { Checkpoint checkpoint(scratch.folder()); }).message;
    };
    write(scratch / "two.safetensors", shard("t", "tttt"));
    write(scratch / "one.safetensors", shard("s", "ssss"));
    write(scratch / "copy.safetensors", shard("s", "ssss"));
    REQUIRE(refusal(R"({"weight_map":{"t":"two.safetensors","s":"one.safetensors"}})").empty());
    const Checkpoint checkpoint(scratch.folder());
    CHECK(text_of(checkpoint.get("t", Shape{1})) == "tttt");
    CHECK(checkpoint.get("s", Shape{1}).file->path() == scratch / "one.safetensors");
    CHECK(checkpoint.files() == std::vector{scratch / "one.safetensors", scratch / "two.safetensors"});

    const std::string index = (scratch / "model.safetensors.index.json").string();
    CHECK(refusal(R"({"weight_map":{"t":"two.safetensors","s":"two.safetensors"}})") ==
          index + ": s: not in two.safetensors");
    CHECK(refusal(R"({"weight_map":{"t":"gone.safetensors"}})") ==
          (scratch / "gone.safetensors").string() + ": no such file");
    CHECK(refusal(R"({"weight_map":{"t":"../two.safetensors"}})") ==
          index + ": weight_map: t: '../two.safetensors' is not a file name");
    CHECK(refusal(R"({"weight_map":{"s":"one.safetensors","t":"copy.safetensors"}})")
              .ends_with(": s: also in " + (scratch / "one.safetensors").string()));
    CHECK(refusal(R"({"weight_map":{"t":1}})").starts_with(index + ": weight_map: "));
    CHECK(refusal("{}") == index + ": weight_map: missing");
    CHECK(refusal("{").starts_with(index + ": byte 2: not valid JSON"));
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
        write(scratch / "model.safetensors", bytes);
        const Failure failure = failure_of([&] {
            const Checkpoint checkpoint(scratch.folder());
            std::size_t covered = 0;
            for (const auto& [name, view] : checkpoint.tensors()) {
                for (const auto extent : view.shape) REQUIRE(extent >= 0);
                covered += text_of(view).size();
            }
            REQUIRE(covered <= bytes.size() - 8);
            ++accepted;
        });
        if (failure.code == Exit::done) continue;
        REQUIRE(failure.code == Exit::data);
        REQUIRE(failure.message.starts_with((scratch / "model.safetensors").string() + ": "));
        ++refused;
    }
    CHECK(refused > 2000);
    CHECK(accepted > 100);  // a changed name, metadata or datum is none of the reader's business
}
