// POSIX calls, each return code checked: C++ streams hide what matters here, fsync and the reason of a failure.
#include "moesweep/base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "moesweep/base/error.h"
#include "moesweep/base/file_signs.h"
#include "moesweep/base/kill_point.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_system(const fs::path& path, const char* what, int error = errno) {
    fail(Exit::io, "{}: {}: {}", path.string(), what, std::generic_category().message(error));
}

/// An open file. The destructor ignores what close(2) says; a writer calls close() itself, because it may report the
/// last error.
class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    File& operator=(File&&) = delete;

    int get() const { return descriptor_; }
    int release() { return std::exchange(descriptor_, -1); }
    /// An interrupted close(2) has closed the file nevertheless.
    bool close() { return ::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR; }

  private:
    int descriptor_;
};

/// open(2), again when a signal interrupts it.
File open_file(const fs::path& path, int flags) {
    int descriptor;
    do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    while (descriptor < 0 && errno == EINTR);
    return File(descriptor);
}

File open_to_read(const fs::path& path) {
    File file = open_file(path, O_RDONLY);
    if (file.get() >= 0) return file;
    if (errno == ENOENT || errno == ENOTDIR) fail(Exit::data, "{}: no such file{}", path.string(), why_missing(path));
    fail_system(path, "cannot be opened");
}

std::size_t size_of(const File& file, const fs::path& path) {
    struct stat status;
    if (::fstat(file.get(), &status) != 0) fail_system(path, "cannot be examined");
    if (!S_ISREG(status.st_mode)) fail(Exit::io, "{}: cannot be read: it is not a regular file", path.string());
    return static_cast<std::size_t>(status.st_size);
}

/// Up to `size` bytes; 0 at the end of the file.
std::size_t read_some(const File& file, char* out, std::size_t size, const fs::path& path) {
    ssize_t n;
    do n = ::read(file.get(), out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) fail_system(path, "cannot be read");
    return static_cast<std::size_t>(n);
}

void write_all(const File& file, std::span<const std::byte> bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_system(path, "cannot be written");
        if (n == 0) fail_system(path, "cannot be written", ENOSPC);  // no progress and no reason: do not spin
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

/// fsync(2), again when a signal interrupts it.
bool synced(const File& file) {
    int result;
    do result = ::fsync(file.get());
    while (result != 0 && errno == EINTR);
    return result == 0;
}

void sync_file(const File& file, const fs::path& path) {
    if (!synced(file)) fail_system(path, "cannot be synced");
}

/// Makes the names in this folder durable. EINVAL: the file system cannot sync folders.
void sync_folder(const fs::path& folder) {
    const File file = open_file(folder, O_RDONLY | O_DIRECTORY);
    if (file.get() < 0) fail_system(folder, "cannot be opened");
    if (!synced(file) && errno != EINVAL) fail_system(folder, "cannot be synced");
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Drawn once per process: two containers may share a host name and a process id, but not this.
const std::string& process_token() {
    static const std::string token = [] {
        std::uint64_t drawn;
        if (::getentropy(&drawn, sizeof drawn) != 0) fail(Exit::internal, "the system provides no random numbers");
        return fmt::format("{:016x}", drawn);
    }();
    return token;
}

/// Removes a file on destruction unless keep() was called.
class Discard {
  public:
    explicit Discard(fs::path path) : path_(std::move(path)) {}
    ~Discard() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    Discard(const Discard&) = delete;
    Discard& operator=(const Discard&) = delete;
    void keep() { path_.clear(); }

  private:
    fs::path path_;
};

void rename_into_place(const fs::path& temporary, const fs::path& path) {
    kill_point(CommitStep::synced, path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_system(path, "cannot be renamed into place");
    kill_point(CommitStep::renamed, path);
    sync_folder(folder_of(path));
    kill_point(CommitStep::finished, path);
}

class Sha256 {
  public:
    Sha256() { require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }

    void update(std::string_view text) { require(EVP_DigestUpdate(context_.get(), text.data(), text.size()) == 1); }

    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
        unsigned size = 0;
        require(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
        std::string text;
        for (unsigned i = 0; i < size; i++) text += fmt::format("{:02x}", digest[i]);
        return text;
    }

  private:
    static void require(bool done) {
        if (!done) fail(Exit::internal, "SHA-256: OpenSSL refused");
    }
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

}  // namespace

std::string read_file(const fs::path& path) {
    const File file = open_to_read(path);
    std::string content(size_of(file, path), '\0');
    std::size_t have = 0;
    while (have < content.size()) {
        const std::size_t n = read_some(file, content.data() + have, content.size() - have, path);
        if (n == 0)
            fail(Exit::io, "{}: cannot be read: {} bytes expected, {} got", path.string(), content.size(), have);
        have += n;
    }
    return content;
}

fs::path temporary_beside(const fs::path& path) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) fail_system(path, "the host name is unknown");
    return folder_of(path) /
           fmt::format(".{}.{}.{}.{}.tmp", path.filename().string(), host.data(), ::getpid(), process_token());
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
    kill_point(CommitStep::begun, path);
    const fs::path temporary = temporary_beside(path);
    File file = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() < 0) fail_system(path, "cannot be written");
    Discard on_failure(temporary);
    kill_point(CommitStep::opened, path);
    write_all(file, bytes, path);
    kill_point(CommitStep::written, path);
    sync_file(file, path);
    if (!file.close()) fail_system(path, "cannot be closed");
    rename_into_place(temporary, path);
    on_failure.keep();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
    write_file_atomically(path, std::as_bytes(std::span(text)));
}

void commit_file(const fs::path& temporary, const fs::path& path) {
    Discard on_failure(temporary);
    {
        const File file = open_file(temporary, O_RDONLY);
        if (file.get() < 0) fail_system(path, "cannot be opened");
        sync_file(file, path);
    }
    rename_into_place(temporary, path);
    on_failure.keep();
}

void make_writable_folder(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> missing;
    for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path()) missing.push_back(at);
    fs::create_directories(folder, error);
    if (error) fail_system(folder, "cannot be created", error.value());
    for (const fs::path& made : missing) sync_folder(folder_of(made));
    // Mode bits mean little to root, on a read-only mount or over NFS: only creating a file shows that one can.
    const fs::path probe = temporary_beside(folder / "probe");
    const Discard always(probe);
    File file = open_file(probe, O_WRONLY | O_CREAT);
    if (file.get() < 0 || !file.close()) fail_system(folder, "cannot be written");
}

std::string sha256(std::string_view text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
}

std::string sha256_file(const fs::path& path) {
    const File file = open_to_read(path);
    Sha256 hash;
    std::vector<char> piece(std::size_t{1} << 20);
    while (const std::size_t n = read_some(file, piece.data(), piece.size(), path)) hash.update({piece.data(), n});
    return hash.hex();
}

InputFile::InputFile(const fs::path& path) : path_(path) {
    File file = open_to_read(path);
    size_ = size_of(file, path);
    descriptor_ = file.release();
}

InputFile::~InputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

void InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
    std::size_t have = 0;
    while (have < out.size()) {
        const ssize_t n = ::pread(descriptor_, out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_system(path_, "cannot be read");
        if (n == 0)
            fail(Exit::io, "{}: cannot be read: {} bytes expected at byte {}, {} got: it has been truncated",
                 path_.string(), out.size(), offset, have);
        have += static_cast<std::size_t>(n);
    }
}

void InputFile::read_ahead(std::uint64_t offset, std::uint64_t bytes) const {
    ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

void InputFile::drop_cached(std::uint64_t offset, std::uint64_t bytes) const {
    ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
}

}  // namespace moesweep
