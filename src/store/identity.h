// identity.ini as text, and whether a file belongs to its run.
#pragma once
#include <filesystem>
#include <string>

#include "hdf5.h"
#include "moesweep/store/identity.h"

namespace moesweep {

std::string identity_text(const Identity& identity);

/// The value of a key in such a text; nothing where no line has it, the first where several have.
std::optional<std::string> said_in(const std::string& text, const std::string& key);

/// Error(other_run) for the first key in which a run's text differs from what it would be now. A key that it lacks had
/// its value `before` then.
void expect_same_run(const std::filesystem::path& folder, const std::string& text, const Identity& now);

/// The text of the run's identity.ini, which stands as attribute "identity" in its files. Error(data) without one.
std::string run_identity(const std::filesystem::path& folder);

/// Error(data) unless the file is of this run: names the first key that differs, with the file's value and the run's.
void expect_of_run(const hdf5::Node& root, const std::filesystem::path& folder);

}  // namespace moesweep
