// Recognises what lies in a file's place, for the message about a file that is missing or not what its name says.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace moesweep {

/// How many of a file's first bytes what_it_is() looks at.
inline constexpr std::size_t telling_bytes = 512;

/// What a file with this beginning is, and what to do: "a Git LFS pointer, not the file itself: ...". Empty if it looks
/// like nothing that is often found in place of models, facts or configurations. Ask only about a file that has been
/// found wrong: the first bytes of a sound one may look like anything.
std::string what_it_is(std::string_view beginning);

/// The end of a message about a missing file: a dangling link, an unfinished download. May be empty.
std::string why_missing(const std::filesystem::path& path);

}  // namespace moesweep
