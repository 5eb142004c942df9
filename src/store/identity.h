// identity.ini: what a run is, in text.
#pragma once
#include <filesystem>
#include <string>

#include "moesweep/config.h"
#include "moesweep/store.h"

namespace moesweep {

/// The text of identity.ini: the identity settings, then the three digests.
std::string identity_text(const Config& config, const Identity& identity);

/// Error(other_run) for the first key by which the texts differ.
void expect_same_run(const std::filesystem::path& folder, const std::string& old_text, const std::string& new_text);

/// What stands as attribute "identity" in the files of a run: the SHA-256 of its identity.ini. Error(data) without one.
std::string run_digest(const std::filesystem::path& folder);

}  // namespace moesweep
