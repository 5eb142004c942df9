// What the HDF5 targets share: fitting checksums for a mutated file, and a look at what was left open.
#pragma once
#include <string>

namespace moesweep::fuzz {

/// The image of a file as our store writes it (superblock 3, object headers 2, datasets of one chunk under fletcher32)
/// with every checksum made to fit what it covers, and the end of the file to its size. Takes any bytes.
std::string sealed(std::string image);

/// Aborts if the library still holds anything open: a handle that we leak, which no sanitizer sees.
void expect_all_closed();

}  // namespace moesweep::fuzz
