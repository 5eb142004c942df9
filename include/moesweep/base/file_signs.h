// What may be found in a file's place: for the message about a file that is not what its name says, or not there.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace moesweep {

/// How many of a file's first bytes tell what it is.
inline constexpr std::size_t telling_bytes = 512;

/// What a file with this beginning is, and what to do: "a Git LFS pointer, not the file itself: ...". Empty where it is
/// nothing that lands in the place of models, facts or configurations. Only to be asked about a file that has been
/// found wrong: the first bytes of a sound one may look like anything.
std::string what_it_is(std::string_view beginning);

/// The end of a message about a file that is not there: a link that leads nowhere, a download that has not ended. May
/// be empty.
std::string why_missing(const std::filesystem::path& path);

}  // namespace moesweep
