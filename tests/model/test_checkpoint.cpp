#include "moesweep/model/checkpoint.h"

#include <catch2/catch.hpp>

#include "safetensors_bytes.h"
#include "support.h"

using namespace moesweep;

namespace {

using Lines = std::vector<std::string>;

constexpr const char *single = "model.safetensors", *index_name = "model.safetensors.index.json";

/// A file of F32 vectors: name and data, four bytes a number.
std::string shard(const std::vector<std::pair<std::string, std::string>>& tensors) {
    std::string header, data;
    for (const auto& [name, bytes] : tensors) {
        header +=
            fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})", header.empty() ? "" : ",",
                        name, bytes.size() / 4, data.size(), data.size() + bytes.size());
        data += bytes;
    }
    return file_of("{" + header + "}", data);
}

/// A folder that a test fills with files.
struct Folder : Scratch {
    void put(const std::string& name, const std::string& bytes) const { write_bytes(*this / name, bytes); }
    void index(const std::string& weight_map) const {
        put(index_name, fmt::format(R"({{"weight_map":{}}})", weight_map));
    }
    std::string name_of(const std::string& file) const { return (*this / file).string(); }
    Checkpoint open(const std::vector<ExpectedTensor>& expected) const { return Checkpoint::open(folder(), expected); }
    Lines problems(const std::vector<ExpectedTensor>& expected) const { return open(expected).problems(); }
};

const std::vector<ExpectedTensor> s_and_t = {{"s", {1}}, {"t", {1}}};

}  // namespace

TEST_CASE("An index joins its shards") {
    const Folder folder;
    folder.put("two", shard({{"t", "tttt"}}));
    folder.put("one", shard({{"s", "ssss"}, {"x", "xxxx"}}));
    folder.put("three", shard({{"y", "yyyy"}}));
    folder.index(R"({"t":"two","s":"one","x":"one","y":"three"})");
    const Checkpoint checkpoint = folder.open(s_and_t);
    CHECK((checkpoint.whole() && checkpoint.notes().empty()));
    CHECK(text_of(checkpoint.at("t")) == "tttt");
    CHECK(checkpoint.at("s").where() == folder.name_of("one"));
    CHECK(checkpoint.stored().size() == 2);
    CHECK((checkpoint.unexpected().size() == 2 && checkpoint.unexpected().contains("y")));
    CHECK(checkpoint.files() == std::vector{folder / "one", folder / "two"});  // those that hold what is needed
}

TEST_CASE("A checkpoint that is not whole says all that it lacks, each thing once") {
    const Folder folder;
    folder.put("one", shard({{"s", "ssss"}}));
    folder.put("two", shard({{"t", "tttt"}, {"u", "uuuuuuuu"}}));
    const std::string here = folder.folder().string(), index = folder.name_of(index_name);

    folder.index(R"({"s":"one","t":"two","v":"one"})");
    CHECK(folder.problems({{"s", {1}}, {"u", {1}}, {"v", {1}}, {"w", {1}}}) ==
          Lines{folder.name_of("two") + ": u: expected shape [1], got [2]", index + ": v: not in one",
                here + ": w: missing tensor"});
    folder.index(R"({"s":"two","t":"gone","u":"gone"})");
    CHECK(folder.problems({{"s", {1}}, {"t", {1}}, {"u", {2}}}) ==
          Lines{index + ": s: not in two", folder.name_of("gone") + ": no such file"});
    folder.put("two", "cut");
    folder.index(R"({"s":"one","t":"two","u":"two"})");
    CHECK(folder.problems({{"s", {1}}, {"t", {1}}, {"u", {2}}}) ==
          Lines{folder.name_of("two") + ": header: file has only 3 bytes"});
    folder.put("two", file_of(R"({"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "ttt"));
    CHECK(folder.problems({{"t", {3}}}) ==
          Lines{folder.name_of("two") + ": t: dtype U8 is not supported, expected BF16, F16 or F32"});
}

TEST_CASE("An index that is none is a problem by name") {
    const Folder folder;
    const auto problem = [&](const std::string& text) {
        folder.put(index_name, text);
        const Lines problems = folder.problems(s_and_t);
        REQUIRE(problems.size() == 1);
        REQUIRE(problems[0].starts_with(folder.name_of(index_name) + ": "));
        return problems[0].substr(folder.name_of(index_name).size() + 2);
    };
    CHECK(problem(R"({"weight_map":{"t":"../two"}})") == "weight_map: t: '../two' is not a file name");
    CHECK(problem(R"({"weight_map":{"t":""}})") == "weight_map: t: '' is not a file name");
    CHECK(problem(R"({"weight_map":{"t":1}})").starts_with("weight_map: "));
    CHECK(problem("{}") == "weight_map: missing");
    CHECK(problem("{").starts_with("byte 2: not valid JSON"));
}

TEST_CASE("What nobody needs may be absent, broken or there twice") {
    const Folder folder;
    folder.put("one", shard({{"s", "ssss"}, {"t", "tttt"}, {"x", "xxxx"}}));
    folder.put("broken", "cut");
    folder.put("three", shard({{"x", "XXXX"}}));
    folder.index(R"({"s":"one","t":"one","absent":"one","u":"gone","v":"broken","w":"three"})");
    const Checkpoint checkpoint = folder.open(s_and_t);
    CHECK(checkpoint.whole());
    CHECK(checkpoint.notes() ==
          Lines{folder.name_of("broken") +
                    ": header: file has only 3 bytes: passed over, for nothing that is needed is there",
                folder.name_of("gone") + ": no such file: passed over, for nothing that is needed is there"});
    CHECK(checkpoint.files() == std::vector{folder / "one"});
}

TEST_CASE("Of a tensor in two shards the one counts that the index names, with a note") {
    const Folder folder;
    folder.put("one", shard({{"s", "ssss"}, {"t", "tttt"}}));
    folder.put("two", shard({{"t", "TTTT"}, {"u", "uuuu"}}));
    for (const auto& [named, other] : {std::pair{"one", "two"}, {"two", "one"}}) {
        folder.index(fmt::format(R"({{"s":"one","t":"{}","u":"two"}})", named));
        const Checkpoint checkpoint = folder.open(s_and_t);
        CHECK(checkpoint.whole());
        CHECK(checkpoint.at("t").where() == folder.name_of(named));
        CHECK(checkpoint.notes() ==
              Lines{fmt::format("{}: t: passed over, for the index names {} (transformers takes it from the last file)",
                                folder.name_of(other), named)});
        CHECK(checkpoint.files().size() == (named == std::string("one") ? 2 : 3));  // the index decides
    }
    folder.index(R"({"s":"one","u":"two"})");
    CHECK(folder.problems(s_and_t) ==
          Lines{fmt::format("{}: t: also in {}, and the index does not say which one counts", folder.name_of("one"),
                            folder.name_of("two"))});
    folder.put("two", shard({{"u", "uuuu"}}));
    CHECK(folder.problems(s_and_t).empty());
}

TEST_CASE("Of model.safetensors and an index, the one that is whole is read, with a note of the other") {
    const Folder folder;
    const std::string here = folder.folder().string(), whole = shard({{"s", "ssss"}, {"t", "tttt"}});
    CHECK(failure_of([&] { folder.open(s_and_t); }).message ==
          here + ": neither model.safetensors nor model.safetensors.index.json");
    folder.put("one", shard({{"s", "SSSS"}}));
    folder.put("two", shard({{"t", "TTTT"}}));
    folder.index(R"({"s":"one","t":"two"})");

    folder.put(single, whole);
    const Failure both = failure_of([&] { folder.open(s_and_t); });
    CHECK(both.code == Exit::data);
    CHECK(both.message == here +
                              ": both model.safetensors and the shards of model.safetensors.index.json hold a whole "
                              "model: remove the one that you do not mean (transformers reads model.safetensors)");

    for (const std::string& text : {whole.substr(0, whole.size() - 1), shard({{"s", "ssss"}}), std::string("cut")}) {
        folder.put(single, text);
        const Checkpoint sharded = folder.open(s_and_t);
        CHECK(sharded.whole());
        CHECK(text_of(sharded.at("s")) == "SSSS");
        REQUIRE(sharded.notes().size() == 1);
        CHECK(sharded.notes()[0].starts_with(folder.name_of(single) + ": passed over, for it is not whole: "));
    }

    folder.put(single, whole);
    std::filesystem::remove(folder / "two");
    const std::string gone = folder.name_of("two") + ": no such file";
    const Checkpoint alone = folder.open(s_and_t);
    CHECK(alone.whole());
    CHECK(text_of(alone.at("s")) == "ssss");
    CHECK(alone.notes() == Lines{folder.name_of(index_name) + ": passed over, for it is not whole: " + gone});

    folder.put(single, shard({{"s", "ssss"}}));
    const std::string lacks = here + ": t: missing tensor";
    CHECK(folder.problems(s_and_t) ==
          Lines{here +
                    ": neither model.safetensors nor the shards of model.safetensors.index.json hold a whole model: " +
                    lacks + "; " + gone,
                lacks, gone});
}

TEST_CASE("An index of model.safetensors is no second set of weights") {
    const Folder folder;
    folder.put(single, shard({{"s", "ssss"}, {"t", "tttt"}}));
    folder.index(R"({"s":"model.safetensors","t":"model.safetensors"})");
    const Checkpoint checkpoint = folder.open(s_and_t);
    CHECK((checkpoint.whole() && checkpoint.notes().empty()));
    CHECK(checkpoint.files() == std::vector{folder / single});
    folder.put(single, "cut");
    CHECK(folder.problems(s_and_t) == Lines{folder.name_of(single) + ": header: file has only 3 bytes"});

    // One with more than that: transformers would read model.safetensors alone.
    folder.put(single, shard({{"s", "ssss"}}));
    folder.put("more", shard({{"t", "tttt"}}));
    folder.index(R"({"s":"model.safetensors","t":"more"})");
    CHECK(text_of(folder.open(s_and_t).at("t")) == "tttt");
    CHECK(folder.open(s_and_t).notes() == Lines{folder.name_of(single) + ": passed over, for it is not whole: " +
                                                folder.folder().string() + ": t: missing tensor"});
}

TEST_CASE("A tensor may be a part of another, in the shape that is expected of it") {
    const Folder folder;
    const std::vector<ExpectedTensor> expected = {
        {"s", {1}}, {"a", {1}, {{"both", {2}, 0}}}, {"b", {1}, {{"both", {2}, 1}}}, {"c", {1}, {{"C", {1}}}}};
    folder.put(single, shard({{"both", "aaaabbbb"}, {"s", "ssss"}, {"C", "cccc"}}));
    const Checkpoint checkpoint = folder.open(expected);
    CHECK((checkpoint.whole() && checkpoint.notes().empty()));
    CHECK((text_of(checkpoint.at("a")) == "aaaa" && text_of(checkpoint.at("b")) == "bbbb"));
    CHECK((checkpoint.at("b").shape == Shape{1} && checkpoint.at("b").name == "b (in both)"));
    CHECK((text_of(checkpoint.at("c")) == "cccc" && checkpoint.at("c").name == "C"));
    CHECK((checkpoint.stored().size() == 3 && checkpoint.unexpected().empty()));

    folder.put(single, shard({{"both", "aaaabbbbcccc"}, {"s", "ssss"}, {"C", "cccc"}}));
    const std::string file = folder.name_of(single);
    CHECK(folder.problems(expected) == Lines{file + ": both: expected shape [2], got [3]"});
    folder.put(single, shard({{"both", "aaaabbbb"}, {"b", "BBBB"}, {"s", "ssss"}, {"C", "cccc"}}));
    CHECK(folder.problems(expected) == Lines{file + ": both: stored twice, also as b in " + file});
    folder.put(single, shard({{"a", "aaaa"}, {"b", "BBBB"}, {"s", "ssss"}, {"c", "cccc"}}));
    CHECK(text_of(folder.open(expected).at("b")) == "BBBB");
    folder.put(single, shard({{"a", "aaaa"}, {"s", "ssss"}, {"c", "cccc"}}));
    CHECK(folder.problems(expected) == Lines{folder.folder().string() + ": b: missing tensor"});
}

TEST_CASE("Of two tied tensors one will do, and both count where both are stored") {
    const Folder folder;
    const std::vector<ExpectedTensor> tied = {{"s", {1}, {{"t", {1}}}}, {"t", {1}, {{"s", {1}}}}};
    const auto texts = [&] {
        const Checkpoint checkpoint = folder.open(tied);
        CHECK(checkpoint.whole());
        return text_of(checkpoint.at("s")) + text_of(checkpoint.at("t"));
    };
    folder.put(single, shard({{"s", "ssss"}, {"t", "tttt"}}));
    CHECK(texts() == "sssstttt");
    folder.put(single, shard({{"s", "ssss"}}));
    CHECK(texts() == "ssssssss");
    folder.put(single, shard({{"t", "tttt"}}));
    CHECK(texts() == "tttttttt");

    // An index that names the one that was left out is forgiven, if its shard is there to see.
    std::filesystem::rename(folder / single, folder / "one");
    folder.index(R"({"s":"one","t":"one"})");
    CHECK(texts() == "tttttttt");
    folder.index(R"({"s":"gone","t":"one"})");
    CHECK(folder.problems(tied) == Lines{folder.name_of("gone") + ": no such file"});
}
