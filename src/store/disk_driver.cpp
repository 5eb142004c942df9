#include "disk_driver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <new>
#include <system_error>
#include <utility>

namespace moesweep::hdf5 {
namespace {

/// One opening of a source by the library, which may open it twice while it creates a file.
struct Opening {
    H5FD_t base;  // first: the library sees only this part
    Source* source;
    haddr_t allocated;  // the library's end of the file
    haddr_t end;        // ours
};

Opening& opening(H5FD_t* file) {
    return *reinterpret_cast<Opening*>(file);
}
const Opening& opening(const H5FD_t* file) {
    return *reinterpret_cast<const Opening*>(file);
}

void note_error(Source& source, const char* what, int error = errno) {
    if (source.error == 0) {
        source.error = error;
        source.failed = what;
    }
}

H5FD_t* open_driver(const char*, unsigned, hid_t access_list, haddr_t) {
    Source* source = *static_cast<Source* const*>(H5Pget_driver_info(access_list));
    struct stat status {};
    if (source->descriptor >= 0 && ::fstat(source->descriptor, &status) != 0) {
        note_error(*source, "cannot be examined");
        return nullptr;
    }
    const auto size = source->descriptor >= 0 ? static_cast<haddr_t>(status.st_size) : source->image.size();
    auto* file = new (std::nothrow) Opening{{}, source, 0, size};
    return file ? &file->base : nullptr;
}

herr_t close_driver(H5FD_t* file) {
    delete &opening(file);
    return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
    const std::less<const Source*> before;
    return before(opening(b).source, opening(a).source) - before(opening(a).source, opening(b).source);
}

herr_t query(const H5FD_t*, unsigned long* features) {
    *features = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
                H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

haddr_t allocated_end(const H5FD_t* file, H5FD_mem_t) {
    return opening(file).allocated;
}

herr_t set_allocated_end(H5FD_t* file, H5FD_mem_t, haddr_t address) {
    opening(file).allocated = address;
    return 0;
}

haddr_t file_end(const H5FD_t* file, H5FD_mem_t) {
    return opening(file).end;
}

/// pread and pwrite, on the file or on the image.
ssize_t read_some(const Source& source, std::byte* out, size_t size, haddr_t address) {
    if (source.descriptor >= 0) return ::pread(source.descriptor, out, size, static_cast<off_t>(address));
    const size_t n = address < source.image.size() ? std::min(size, source.image.size() - address) : 0;
    std::copy_n(source.image.begin() + static_cast<std::ptrdiff_t>(address), n, out);
    return static_cast<ssize_t>(n);
}

bool resize_image(Source& source, haddr_t size) {
    try {
        source.image.resize(size);
        return true;
    } catch (const std::exception&) {  // must not fly through the library's frames
        errno = ENOMEM;
        return false;
    }
}

ssize_t write_some(Source& source, const std::byte* in, size_t size, haddr_t address) {
    if (source.descriptor >= 0) return ::pwrite(source.descriptor, in, size, static_cast<off_t>(address));
    if (address + size > source.image.size() && !resize_image(source, address + size)) return -1;
    std::copy_n(in, size, source.image.begin() + static_cast<std::ptrdiff_t>(address));
    return static_cast<ssize_t>(size);
}

/// Bytes beyond the end of the file read as zeros, as the library expects.
herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
    Source& source = *opening(file).source;
    auto* out = static_cast<std::byte*>(buffer);
    while (size > 0) {
        const ssize_t n = read_some(source, out, size, address);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            note_error(source, "cannot be read");
            return -1;
        }
        if (n == 0) {
            std::memset(out, 0, size);
            return 0;
        }
        out += n;
        address += static_cast<haddr_t>(n);
        size -= static_cast<size_t>(n);
    }
    return 0;
}

/// After an error nothing is written any more: the file is lost, and its owner will find out.
herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* buffer) {
    Opening& self = opening(file);
    self.end = std::max(self.end, address + size);
    auto* in = static_cast<const std::byte*>(buffer);
    while (size > 0 && self.source->error == 0) {
        const ssize_t n = write_some(*self.source, in, size, address);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            note_error(*self.source, "cannot be written", n < 0 ? errno : ENOSPC);
            break;
        }
        in += n;
        address += static_cast<haddr_t>(n);
        size -= static_cast<size_t>(n);
    }
    return 0;
}

herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
    Opening& self = opening(file);
    Source& source = *self.source;
    if (self.end == self.allocated) return 0;
    self.end = self.allocated;
    if (source.error != 0) return 0;
    const bool done = source.descriptor >= 0 ? ::ftruncate(source.descriptor, static_cast<off_t>(self.end)) == 0
                                             : resize_image(source, self.end);
    if (!done) note_error(source, "cannot be written");
    return 0;
}

hid_t driver() {
    static const H5FD_class_t functions{
        .name = "moesweep",
        .maxaddr = (haddr_t{1} << 62) - 1,
        .fc_degree = H5F_CLOSE_WEAK,
        .fapl_size = sizeof(Source*),
        .open = open_driver,
        .close = close_driver,
        .cmp = compare,
        .query = query,
        .get_eoa = allocated_end,
        .set_eoa = set_allocated_end,
        .get_eof = file_end,
        .read = read,
        .write = write,
        .truncate = truncate,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    static const hid_t id = H5FDregister(&functions);
    return id;
}

std::string reason(int error) {
    return std::generic_category().message(error);
}

int open_descriptor(const std::filesystem::path& path, int flags) {
    int descriptor;
    do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

}  // namespace

Source::~Source() {
    if (descriptor >= 0) ::close(descriptor);
}

Source::Source(Source&& other) noexcept
    : name(std::move(other.name)),
      blame(other.blame),
      descriptor(std::exchange(other.descriptor, -1)),
      image(std::move(other.image)),
      error(other.error),
      failed(other.failed) {}

Source open_source(const std::filesystem::path& path, std::string name, Exit blame) {
    Source source(std::move(name), blame);
    source.descriptor = open_descriptor(path, O_RDONLY);
    if (source.descriptor >= 0) return source;
    if (errno == ENOENT || errno == ENOTDIR) fail(blame, "{}: no such file", source.name);
    fail(Exit::io, "{}: cannot be opened: {}", source.name, reason(errno));
}

Source create_source(const std::filesystem::path& path, std::string name) {
    Source source(std::move(name), Exit::io);
    source.descriptor = open_descriptor(path, O_RDWR | O_CREAT | O_TRUNC);
    if (source.descriptor < 0) fail(Exit::io, "{}: cannot be created: {}", source.name, reason(errno));
    return source;
}

void close_source(Source& source) {
    if (source.descriptor < 0) return;
    int result;
    do result = ::fsync(source.descriptor);
    while (result != 0 && errno == EINTR);
    if (result != 0) note_error(source, "cannot be synced");
    if (::close(std::exchange(source.descriptor, -1)) != 0 && errno != EINTR) note_error(source, "cannot be closed");
    expect_no_error(source);
}

herr_t use_source(hid_t access_list, Source* source) {
    return H5Pset_driver(access_list, driver(), &source);
}

void expect_no_error(const Source& source) {
    if (source.error != 0) fail(Exit::io, "{}: {}: {}", source.name, source.failed, reason(source.error));
}

}  // namespace moesweep::hdf5
