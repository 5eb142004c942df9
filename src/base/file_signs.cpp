#include "moesweep/base/file_signs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

namespace moesweep {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

struct Sign {
    std::string_view beginning;
    std::string_view what;
};

constexpr Sign of_bytes[] = {
    {"version https://git-lfs.github.com/spec/"sv,
     "a Git LFS pointer, not the file itself: `git lfs pull` fetches that"},
    {"Entry not found"sv, "an error page from Hugging Face, not the file: there is no file at that address"},
    {"Access to model"sv,
     "an error page from Hugging Face, not the file: the model is gated, log in and download again"},
    {"\x1f\x8b"sv, "compressed by gzip: unpack it"},
    {"\x28\xb5\x2f\xfd"sv, "compressed by zstd: unpack it"},
    {"\xfd"
     "7zXZ"sv,
     "compressed by xz: unpack it"},
    {"BZh"sv, "compressed by bzip2: unpack it"},
    {"PK\x03\x04"sv, "a zip archive, as torch.save writes one: a checkpoint must be saved as safetensors"},
    {"\x80\x02"sv, "a Python pickle: a checkpoint must be saved as safetensors"},
    {"\x80\x03"sv, "a Python pickle"},
    {"\x80\x04"sv, "a Python pickle"},
    {"\x80\x05"sv, "a Python pickle"},
    {"GGUF"sv, "a GGUF file for llama.cpp: a checkpoint must be as transformers saves it"},
    {"PAR1"sv, "a Parquet file: JSON is needed"},
    {"\x93NUMPY"sv, "an array of numpy"},
    {"\xff\xfe"sv, "text in UTF-16: save it in UTF-8"},
    {"\xfe\xff"sv, "text in UTF-16: save it in UTF-8"},
};
constexpr Sign of_markup[] = {
    // in upper or lower case, after any white space
    {"<!doctype html"sv, "an HTML page, left by a failed download: download the file again"},
    {"<html"sv, "an HTML page, left by a failed download: download the file again"},
    {"<?xml"sv, "an XML document, left by a failed download: download the file again"},
};

bool begins_markup(std::string_view text, std::string_view mark) {
    const auto lower = [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); };
    const std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    return std::ranges::equal(text.substr(begin, mark.size()), mark, {}, lower);
}

/// Whether Hugging Face's downloader keeps unfinished downloads in this folder.
bool has_incomplete(const fs::path& folder) {
    std::error_code unreachable;
    fs::directory_iterator at(folder, unreachable);
    for (; at != fs::directory_iterator(); at.increment(unreachable))
        if (at->path().extension() == ".incomplete") return true;
    return false;
}

}  // namespace

std::string what_it_is(std::string_view beginning) {
    for (const auto& [mark, what] : of_bytes)
        if (beginning.starts_with(mark)) return std::string(what);
    for (const auto& [mark, what] : of_markup)
        if (begins_markup(beginning, mark)) return std::string(what);
    if (!beginning.empty() && std::ranges::all_of(beginning.substr(0, telling_bytes), [](char c) { return c == '\0'; }))
        return "filled with zeros: an unfinished download or copy";
    return "";
}

std::string why_missing(const fs::path& path) {
    std::error_code unreachable;
    if (fs::is_symlink(path, unreachable))
        return fmt::format(": it is a link to {}, which does not exist", fs::read_symlink(path, unreachable).string());
    for (const char* ending : {".incomplete", ".part", ".crdownload", ".download"})
        if (fs::exists(path.string() + ending, unreachable))
            return fmt::format(": {}{} is an unfinished download", path.filename().string(), ending);
    if (const fs::path downloads = path.parent_path() / ".cache/huggingface/download"; has_incomplete(downloads))
        return fmt::format(": {} holds unfinished downloads", downloads.string());
    return "";
}

}  // namespace moesweep
