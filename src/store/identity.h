// identity.ini: what a run is, in text, and whether a file belongs to it.
#pragma once
#include <filesystem>
#include <string>

#include "hdf5.h"
#include "moesweep/config/config.h"
#include "moesweep/store/store.h"

namespace moesweep {

/// The text of identity.ini: the identity settings, then the three digests.
std::string identity_text(const Config& config, const Identity& identity);

/// Error(other_run) for the first key by which the texts differ.
void expect_same_run(const std::filesystem::path& folder, const std::string& old_text, const std::string& new_text);

/// The text of the run's identity.ini, which stands as attribute "identity" in its files. Error(data) without one.
std::string run_identity(const std::filesystem::path& folder);

/// Error(data) unless the file is of this run: names the first key that differs, with the file's value and the run's.
void expect_of_run(const hdf5::Node& root, const std::filesystem::path& folder);

}  // namespace moesweep
