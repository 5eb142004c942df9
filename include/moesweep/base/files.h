// Files are read whole, or written so that a crash leaves the old content or the new, never a part.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace moesweep {

/// The whole file as bytes. Error(data) if it does not exist, Error(io) if it is no file or cannot be read.
std::string read_file(const std::filesystem::path& path);

/// A hidden name beside `path`, ending in ".tmp", that no other process uses: it has the host, the process id and a
/// random number of this process.
std::filesystem::path temporary_beside(const std::filesystem::path& path);

/// Writes `bytes` beside `path` under a temporary name, syncs the file, renames it into place and syncs the folder.
/// On failure the temporary file is removed and Error(io) names the path and the system's reason.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Syncs `temporary` and renames it to `path`, then syncs the folder. For files that a library wrote. On failure the
/// temporary file is removed and Error(io) names the path and the reason.
void commit_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

/// Creates the folder and its parents durably, and makes sure that files can be created in it. Error(io) names it.
void make_writable_folder(const std::filesystem::path& folder);

/// Lower-case hexadecimal SHA-256 of a text and of a file's content (read in pieces; errors as read_file).
std::string sha256(std::string_view text);
std::string sha256_file(const std::filesystem::path& path);

/// A file held open and read at any place, by any thread. Error(data) if absent, Error(io) if it is no file.
class InputFile {
  public:
    explicit InputFile(const std::filesystem::path& path);
    ~InputFile();
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t size() const { return size_; }  ///< in bytes, when it was opened

    /// Fills `out` with the bytes from `offset` on. Error(io) names the file and the system's reason, or says how many
    /// bytes were left if the file has been truncated since it was opened.
    void read(std::uint64_t offset, std::span<std::byte> out) const;

    /// Advice to the page cache, which may ignore it: read these bytes ahead without waiting; drop them.
    void read_ahead(std::uint64_t offset, std::uint64_t bytes) const;
    void drop_cached(std::uint64_t offset, std::uint64_t bytes) const;

  private:
    std::filesystem::path path_;
    int descriptor_;
    std::uint64_t size_;
};

}  // namespace moesweep
