// safetensors files byte by byte.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "moesweep/model/safetensors.h"

namespace moesweep {

using Shape = std::vector<std::int64_t>;

/// A safetensors file: the header's length in 8 bytes, the header, the data.
inline std::string file_of(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int byte = 0; byte < 8; ++byte) bytes += static_cast<char>(header.size() >> (8 * byte) & 0xff);
    return bytes + header + data;
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
    std::filesystem::remove(path);  // else ext4 flushes the truncated file at once
    std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string text_of(const TensorView& view) {
    std::string text(view.bytes, '\0');
    view.read(0, std::as_writable_bytes(std::span(text)));
    return text;
}

}  // namespace moesweep
