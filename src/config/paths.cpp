#include "paths.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace moesweep {
namespace {

/// The home folder as a shell knows it; empty where there is none.
std::string home() {
    const char* set = std::getenv("HOME");
    if (set && *set) return set;
    const passwd* user = ::getpwuid(::getuid());
    return user && user->pw_dir ? user->pw_dir : "";
}

bool has_blank_or_quote_at_an_end(std::string_view text) {
    constexpr std::string_view refused = " \"'";
    return !text.empty() && (refused.find(text.front()) != text.npos || refused.find(text.back()) != text.npos);
}

bool has_control_character(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// " # ...", "$NAME", "${NAME}" or "$(command)" anywhere.
bool has_comment_or_variable(std::string_view text) {
    for (std::size_t i = 0; i + 1 < text.size(); i++) {
        const char next = text[i + 1];
        if (text[i] == ' ' && (next == '#' || next == ';')) return true;
        if (text[i] == '$' &&
            (next == '_' || next == '{' || next == '(' || std::isalpha(static_cast<unsigned char>(next))))
            return true;
    }
    return false;
}

}  // namespace

std::optional<std::string> parse_path(const std::string& text) {
    if (has_blank_or_quote_at_an_end(text) || has_control_character(text) || has_comment_or_variable(text)) return {};
    if (!text.starts_with('~')) return text;
    const std::string folder = home();
    if (folder.empty() || (text.size() > 1 && text[1] != '/')) return {};
    return folder + text.substr(1);
}

}  // namespace moesweep
