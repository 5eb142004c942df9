// A file driver for HDF5 that keeps I/O errors in our hands. The library's own drivers let a failed write surface in
// any later call: on a full disk its close can report success, keep the file open, or crash at exit. This one takes
// note of the first error, lets the library believe that all went well so that it closes cleanly, and the owner asks
// afterwards. It takes no lock either: locks fail on some cluster file systems, and a file under its final name never
// changes. Without a file it builds an image in memory (the image that HDF5 1.10's core driver hands out while the file
// is open has a wrong superblock checksum in the latest format).
#pragma once
#include <hdf5.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/base/error.h"

namespace moesweep::hdf5 {

/// What HDF5 reads or writes, an image in memory unless it has a file, and whom messages blame. Must stay where it is
/// while a file is open on it.
struct Source {
    std::string name;       ///< the file's name in messages
    Exit blame = Exit::io;  ///< the code of an Error about the file when the system reported no error
    int descriptor = -1;    ///< of the file on disk; -1 for an image in memory
    std::vector<std::byte> image;
    int error = 0;            ///< errno of the first failed system call,
    const char* failed = "";  ///< and what that was
    Source(std::string file, Exit code) : name(std::move(file)), blame(code) {}
    ~Source();
    Source(Source&& other) noexcept;
    Source& operator=(Source&&) = delete;
};

/// Opens `path` for reading, or creates it empty for reading and writing. Error(blame) if it does not exist, Error(io).
Source open_source(const std::filesystem::path& path, std::string name, Exit blame);
Source create_source(const std::filesystem::path& path, std::string name);

/// Syncs and closes the descriptor, if there is one: the last calls that may tell of a lost write. Error(io).
void close_source(Source& source);

/// Makes files opened with this access list go through the driver to `source`. The library's code.
herr_t use_source(hid_t access_list, Source* source);

/// Throws Error(io) with the system's reason if a call on the source has failed.
void expect_no_error(const Source& source);

}  // namespace moesweep::hdf5
