#include "identity.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

/// The `key = value` lines of an identity.ini.
std::vector<Setting> parse_identity(std::string_view text) {
    std::vector<Setting> result;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::size_t equals = line.find(" = ");
        if (line.starts_with('#') || equals == std::string_view::npos) continue;
        result.push_back({std::string(line.substr(0, equals)), std::string(line.substr(equals + 3))});
    }
    return result;
}

std::optional<std::string> value_of(const std::vector<Setting>& settings, const std::string& key) {
    const auto found = std::ranges::find(settings, key, &Setting::key);
    return found == settings.end() ? std::nullopt : std::optional(found->value);
}

bool is_of_model(const std::string& key) {
    return key == "bos" || key.starts_with("architecture.");
}

constexpr const char* no_such_key = "no such key";

/// What a run was that says nothing of a key, for there was no such key when it began: its default.
std::string value_before(const std::string& key) {
    return value_of(settings(Config{}), key).value_or(no_such_key);
}

struct Difference {
    std::string key, before, now;
};

/// The first key that has not the same value in both texts.
std::optional<Difference> first_difference(const std::string& old_text, const std::string& new_text) {
    const std::vector<Setting> before = parse_identity(old_text), now = parse_identity(new_text);
    for (const auto& [key, value] : now) {
        const auto said = value_of(before, key);
        if (!said && is_of_model(key)) continue;
        const std::string old = said.value_or(value_before(key));
        if (old != value) return Difference{key, old, value};
    }
    for (const auto& [key, value] : before)
        if (!value_of(now, key)) return Difference{key, value, no_such_key};
    return std::nullopt;
}

}  // namespace

std::string identity_text(const Config& config, const Identity& identity) {
    std::string text = "# What this run is. Its files carry this text: do not edit.\n";
    for (const Setting& setting : settings(config))
        if (is_identity(setting.key)) text += fmt::format("{} = {}\n", setting.key, setting.value);
    for (const auto& [key, value] : identity.model) text += fmt::format("{} = {}\n", key, value);
    return text + fmt::format("weights_sha256 = {}\ntokenizer_sha256 = {}\nfacts_sha256 = {}\n",
                              identity.weights_sha256, identity.tokenizer_sha256, identity.facts_sha256);
}

void expect_same_run(const std::filesystem::path& folder, const std::string& old_text, const std::string& new_text) {
    if (const auto other = first_difference(old_text, new_text))
        fail(Exit::other_run, "{}: {}: this run has {}, the new command {}; choose another run.out or the old value",
             folder.string(), other->key, other->before, other->now);
}

std::string run_identity(const std::filesystem::path& folder) {
    return read_file(folder / "identity.ini");
}

void expect_of_run(const hdf5::Node& root, const std::filesystem::path& folder) {
    if (const auto other = first_difference(read_text_attribute(root, "identity"), run_identity(folder)))
        root.refuse("identity: belongs to another run than {}: {}: the file has {}, the run {}",
                    (folder / "identity.ini").string(), other->key, other->before, other->now);
}

}  // namespace moesweep
