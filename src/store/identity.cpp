#include "identity.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "moesweep/error.h"
#include "moesweep/files.h"

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

std::string value_of(const std::vector<Setting>& settings, const std::string& key) {
    const auto found = std::ranges::find(settings, key, &Setting::key);
    return found == settings.end() ? "no such key" : found->value;
}

struct Difference {
    std::string key, before, now;
};

/// The first key that has not the same value in both texts.
std::optional<Difference> first_difference(const std::string& old_text, const std::string& new_text) {
    const std::vector<Setting> before = parse_identity(old_text), now = parse_identity(new_text);
    for (const auto& [key, value] : now)
        if (const std::string old = value_of(before, key); old != value) return Difference{key, old, value};
    for (const auto& [key, value] : before)
        if (const std::string current = value_of(now, key); current != value) return Difference{key, value, current};
    return std::nullopt;
}

}  // namespace

std::string identity_text(const Config& config, const Identity& identity) {
    std::string text = "# What this run is. Its files carry this text: do not edit.\n";
    for (const Setting& setting : settings(config))
        if (is_identity(setting.key)) text += fmt::format("{} = {}\n", setting.key, setting.value);
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
