// What the fuzz targets share. An input may be read, or refused by an Error. Anything else is a finding: a crash,
// another exception, a sanitizer's report, Error(internal), a hang, or more than 2 GB of memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "moesweep/base/error.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace moesweep::fuzz {

/// Whether some reader accepted the input, as one must accept a seed called good-*.
inline bool accepted = false;

template <class Read>
void expect_value_or_error(Read&& read) {
    try {
        read();
        accepted = true;
    } catch (const Error& error) {
        if (error.code() == Exit::internal) throw;
    }
}

inline std::string_view text_of(std::span<const std::uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void write(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Removes the part of `input` before the first byte 0xff, which no JSON or UTF-8 contains, and returns it.
inline std::string_view take_part(std::string_view& input) {
    const std::string_view part = input.substr(0, input.find('\xff'));
    input.remove_prefix(std::min(part.size() + 1, input.size()));
    return part;
}

}  // namespace moesweep::fuzz
