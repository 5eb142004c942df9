#include "identity.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

constexpr const char* no_such_key = "no such key";

using Lines = std::vector<std::pair<std::string, std::string>>;

/// The `key = value` lines of an identity.ini.
Lines parse_identity(std::string_view text) {
    Lines lines;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::size_t equals = line.find(" = ");
        if (line.starts_with('#') || equals == std::string_view::npos) continue;
        lines.emplace_back(line.substr(0, equals), line.substr(equals + 3));
    }
    return lines;
}

/// A key's value; nothing where no line has it, the first where several have.
std::optional<std::string> value_of(const Lines& lines, const std::string& key) {
    const auto found = std::ranges::find(lines, key, &Lines::value_type::first);
    return found == lines.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::string identity_text(const Identity& identity) {
    std::string text = "# What this run is. Its files carry this text: do not edit.\n";
    for (const IdentityLine& line : identity) text += fmt::format("{} = {}\n", line.key, line.value);
    return text;
}

std::optional<std::string> said_in(const std::string& text, const std::string& key) {
    return value_of(parse_identity(text), key);
}

void expect_same_run(const std::filesystem::path& folder, const std::string& text, const Identity& now) {
    const auto refuse = [&](const std::string& key, const std::string& before, const std::string& value) {
        fail(Exit::other_run, "{}: {}: this run has {}, the new command {}; choose another run.out or the old value",
             folder.string(), key, before, value);
    };
    const Lines lines = parse_identity(text);
    for (const IdentityLine& line : now) {
        const auto said = value_of(lines, line.key), before = said ? said : line.before;
        if (before && *before != line.value) refuse(line.key, *before, line.value);
    }
    for (const auto& [key, value] : lines)
        if (std::ranges::find(now, key, &IdentityLine::key) == now.end()) refuse(key, value, no_such_key);
}

std::string run_identity(const std::filesystem::path& folder) {
    return read_file(folder / "identity.ini");
}

void expect_of_run(const hdf5::Node& root, const std::filesystem::path& folder) {
    const Lines in_file = parse_identity(read_text_attribute(root, "identity")),
                of_run = parse_identity(run_identity(folder));
    const auto refuse = [&](const std::string& key) {
        root.refuse("identity: belongs to another run than {}: {}: the file has {}, the run {}",
                    (folder / "identity.ini").string(), key, value_of(in_file, key).value_or(no_such_key),
                    value_of(of_run, key).value_or(no_such_key));
    };
    for (const Lines& lines : {of_run, in_file})
        for (const auto& [key, value] : lines)
            if (value_of(in_file, key) != value_of(of_run, key)) refuse(key);
}

}  // namespace moesweep
