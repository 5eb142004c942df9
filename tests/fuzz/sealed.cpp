// By the HDF5 file format specification, version 3.0; field sizes are those of our own files (8-byte offsets and lengths).
#include "sealed.h"

#include <hdf5.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

// The library's own checksums, which it exports and does not declare.
extern "C" std::uint32_t H5_checksum_lookup3(const void* data, std::size_t size, std::uint32_t start);
extern "C" std::uint32_t H5_checksum_fletcher32(const void* data, std::size_t size);

// On its way out of a broken file the library leaks a little.
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libhdf5";
}

namespace moesweep::fuzz {
namespace {

constexpr std::size_t checksum_bytes = 4;
constexpr int layout_message = 0x08, continuation_message = 0x10;

/// The little-endian number of `size` bytes at `at`; 0 where the image does not reach.
std::uint64_t number(const std::string& image, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    if (at < image.size() && size <= image.size() - at) std::memcpy(&value, image.data() + at, size);
    return value;
}

void put(std::string& image, std::size_t at, std::uint64_t value, std::size_t size) {
    if (at < image.size() && size <= image.size() - at) std::memcpy(image.data() + at, &value, size);
}

/// Whether [begin, begin + size) and a checksum behind it lie in the image.
bool fits(const std::string& image, std::size_t begin, std::size_t size) {
    return size > 0 && begin < image.size() && size < image.size() && size + checksum_bytes <= image.size() - begin;
}

void seal_metadata(std::string& image, std::size_t begin, std::size_t size) {
    if (fits(image, begin, size))
        put(image, begin + size, H5_checksum_lookup3(image.data() + begin, size, 0), checksum_bytes);
}

/// The single chunk of a dataset, which a layout message of version 4 at `at` describes.
void seal_chunk(std::string& image, std::size_t at) {
    const std::uint64_t dimensions = number(image, at + 3, 1), encoded = number(image, at + 4, 1);
    const std::size_t size_at = at + 5 + dimensions * encoded + 1, address_at = size_at + 8 + 4;
    const std::uint64_t stored = number(image, size_at, 8), address = number(image, address_at, 8);
    if (stored > checksum_bytes && fits(image, address, stored - checksum_bytes))
        put(image, address + stored - checksum_bytes,
            H5_checksum_fletcher32(image.data() + address, stored - checksum_bytes), checksum_bytes);
}

/// The messages in [begin, end) of an object header; a mutated continuation may lead round in circles, hence `depth`.
void seal_messages(std::string& image, std::size_t begin, std::size_t end, bool ordered, int depth) {
    const std::size_t prefix = ordered ? 6 : 4;
    for (std::size_t at = begin; at + prefix <= end && at < image.size();) {
        const std::uint64_t type = number(image, at, 1), size = number(image, at + 1, 2);
        if (type == layout_message) seal_chunk(image, at + prefix);
        if (type == continuation_message && depth > 0) {
            const std::uint64_t address = number(image, at + prefix, 8), length = number(image, at + prefix + 8, 8);
            if (length > 8 && fits(image, address, length - checksum_bytes)) {
                seal_messages(image, address + 4, address + length - checksum_bytes, ordered, depth - 1);
                seal_metadata(image, address, length - checksum_bytes);
            }
        }
        at += prefix + size;
    }
}

void seal_object_header(std::string& image, std::size_t at) {
    const std::uint64_t flags = number(image, at + 5, 1), size_bytes = std::uint64_t{1} << (flags & 3);
    const std::size_t size_at = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const std::size_t begin = size_at + size_bytes, size = number(image, size_at, size_bytes);
    if (!fits(image, at, begin - at + size)) return;
    seal_messages(image, begin, begin + size, flags & 0x04, 3);
    seal_metadata(image, at, begin - at + size);
}

}  // namespace

std::string sealed(std::string image) {
    constexpr std::size_t superblock_bytes = 44, end_of_file_at = 28;
    put(image, end_of_file_at, image.size(), 8);
    seal_metadata(image, 0, superblock_bytes);
    for (std::size_t at = image.find("OHDR"); at != image.npos; at = image.find("OHDR", at + 1))
        seal_object_header(image, at);
    return image;
}

void expect_all_closed() {
    if (H5Fget_obj_count(hid_t{H5F_OBJ_ALL}, H5F_OBJ_ALL) != 0) std::abort();
}

}  // namespace moesweep::fuzz
