#pragma once
#include <optional>
#include <string>

namespace moesweep {

/// A path with its leading ~ expanded; nothing where it holds what a shell or another reader of files would have taken
/// off or replaced (quotes, a comment, $NAME), for then a folder of that name is not what is meant.
std::optional<std::string> parse_path(const std::string& text);

}  // namespace moesweep
