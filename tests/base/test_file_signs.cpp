#include "moesweep/base/file_signs.h"

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;

TEST_CASE("what lands in a file's place is told by its first bytes") {
    const auto [beginning, what] = GENERATE(table<std::string, std::string>({
        {"version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer"},
        {"<!DOCTYPE HTML>", "an HTML page"},
        {"\r\n\t <html lang=en>", "an HTML page"},
        {"<?xml version='1.0'?><Error><Code>AccessDenied", "an XML document"},
        {"Entry not found", "an error page from Hugging Face"},
        {"\x1f\x8b\x08", "compressed by gzip"},
        {"PK\x03\x04", "a zip archive"},
        {"\x80\x04\x95", "a Python pickle"},
        {"GGUF\x03", "a GGUF file"},
        {"PAR1\x15", "a Parquet file"},
        {"\xff\xfe{", "text in UTF-16"},
        {std::string(600, '\0'), "filled with zeros"},
        {std::string(8, '\0'), "filled with zeros"},
    }));
    INFO(beginning);
    CHECK(what_it_is(beginning).substr(0, what.size()) == what);
}

TEST_CASE("what may be what it should be is not told to be something else") {
    for (const char* beginning : {"", "{}", "[{", "<", "[model]", "version = 1", "\xEF\xBB\xBF{", "# <html>"}) {
        INFO(beginning);
        CHECK(what_it_is(beginning).empty());
    }
}

TEST_CASE("why a file is not there is looked for beside it") {
    const Scratch scratch;
    const fs::path path = scratch / "model.safetensors";
    const auto refusal = [&] { return failure_of([&] { read_file(path); }).message; };
    CHECK(refusal() == path.string() + ": no such file");
    fs::create_symlink("../blobs/0123abc", path);
    CHECK(refusal() == path.string() + ": no such file: it is a link to ../blobs/0123abc, which does not exist");
    fs::remove(path);
    const fs::path kept = scratch / ".cache" / "huggingface" / "download";
    fs::create_directories(kept);
    write_file_atomically(kept / "a.metadata", std::string_view("x"));
    CHECK(refusal() == path.string() + ": no such file");
    write_file_atomically(kept / "hash.etag.incomplete", std::string_view("x"));
    CHECK(refusal() == path.string() + ": no such file: " + kept.string() + " holds unfinished downloads");
    write_file_atomically(scratch / "model.safetensors.incomplete", std::string_view("x"));
    CHECK(refusal() == path.string() + ": no such file: model.safetensors.incomplete is an unfinished download");
}
