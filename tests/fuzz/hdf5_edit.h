// Mutations of an HDF5 file that get past its checksums: the input is a script of edits, made by HDF5's own calls.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

namespace moesweep::fuzz {

/// Edits the file in place: values changed, objects removed or replaced by others of another kind, type or shape,
/// attributes likewise. Any bytes are a script; an edit that HDF5 refuses is left out.
void edit_file(const std::filesystem::path& path, std::span<const std::uint8_t> script);

/// Aborts if the library still has open handles: a leak of ours that no sanitizer sees.
void expect_all_closed();

}  // namespace moesweep::fuzz
