#include "sealed_file.h"

#include <span>
#include <string>
#include <string_view>

#include "moesweep/base/file_signs.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

std::string seal_of(std::string_view image) {
    return fmt::format("\nsha256 {}\n", sha256(image));
}

}  // namespace

void write_sealed(const std::filesystem::path& path, hdf5::File& image) {
    std::vector<std::byte> bytes = image.bytes();
    const std::string seal = seal_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    const auto tail = std::as_bytes(std::span(seal));
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    write_file_atomically(path, bytes);
}

hdf5::File open_sealed(const std::filesystem::path& path) {
    static const std::size_t seal_size = seal_of("").size();
    const std::string content = read_file(path);
    const std::size_t size = content.size() < seal_size ? 0 : content.size() - seal_size;
    const std::string_view image(content.data(), size), seal = std::string_view(content).substr(size);
    if (seal != seal_of(image)) {
        const std::string kind = what_it_is(content);
        fail(Exit::data, "{}: damaged: {}", path.string(),
             kind.empty() ? fmt::format("{} bytes that do not end in the SHA-256 of those before it", content.size())
                          : kind);
    }
    const auto bytes = std::as_bytes(std::span(image));
    return hdf5::File::open({bytes.begin(), bytes.end()}, path.string());
}

}  // namespace moesweep
