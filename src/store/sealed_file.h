// A file that is an HDF5 image and, behind it, the SHA-256 of the image as a line of text: its seal. HDF5 reads such a
// file as any other, and the seal tells any damage: fletcher32 alone takes a page of zeros, its checksum among them,
// for data.
#pragma once
#include <filesystem>

#include "hdf5.h"

namespace moesweep {

/// Commits the finished image under `path`. Error(io).
void write_sealed(const std::filesystem::path& path, hdf5::File& image);

/// Error(data) if there is no such file, or the seal is missing or is not that of the content. Error(io).
hdf5::File open_sealed(const std::filesystem::path& path);

}  // namespace moesweep
