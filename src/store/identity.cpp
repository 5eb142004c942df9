#include "identity.h"

#include <algorithm>
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

const Setting* find(const std::vector<Setting>& settings, const std::string& key) {
    const auto found = std::ranges::find(settings, key, &Setting::key);
    return found == settings.end() ? nullptr : &*found;
}

}  // namespace

std::string identity_text(const Config& config, const Identity& identity) {
    std::string text = "# What this run is. Its files carry the SHA-256 of this one: do not edit.\n";
    for (const Setting& setting : settings(config))
        if (is_identity(setting.key)) text += fmt::format("{} = {}\n", setting.key, setting.value);
    return text + fmt::format("weights_sha256 = {}\ntokenizer_sha256 = {}\nfacts_sha256 = {}\n",
                              identity.weights_sha256, identity.tokenizer_sha256, identity.facts_sha256);
}

void expect_same_run(const std::filesystem::path& folder, const std::string& old_text, const std::string& new_text) {
    const std::vector<Setting> before = parse_identity(old_text), now = parse_identity(new_text);
    const auto refuse = [&](const std::string& key, const std::string& old_value, const std::string& new_value) {
        fail(Exit::other_run, "{}: {}: this run has {}, the new command {}; choose another run.out or the old value",
             folder.string(), key, old_value, new_value);
    };
    for (const auto& [key, value] : now) {
        const Setting* old = find(before, key);
        if (!old || old->value != value) refuse(key, old ? old->value : "no such key", value);
    }
    for (const auto& [key, value] : before)
        if (!find(now, key)) refuse(key, value, "no such key");
}

std::string run_digest(const std::filesystem::path& folder) {
    return sha256(read_file(folder / "identity.ini"));
}

}  // namespace moesweep
