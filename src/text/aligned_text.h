// A text on its way to tokens: UTF-8 bytes, and for every byte the characters of the original text that it stands for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moesweep::text {

/// Half-open span of the original text, in code points.
struct Span {
    std::int32_t begin = 0, end = 0;
};

/// Always whole characters of valid UTF-8; all bytes of a character have one origin.
struct AlignedText {
    std::string bytes;
    std::vector<Span> origin;  // one per byte

    bool empty() const { return bytes.empty(); }
    /// Error(data) if the text grows beyond 1 MiB, as a few nested replacements can make any text do.
    void append(std::string_view utf8, Span span);
    AlignedText slice(std::size_t begin, std::size_t end) const;
    /// The origin of the non-empty byte range [begin, end): from its first byte's to its last byte's.
    Span span(std::size_t begin, std::size_t end) const { return {origin[begin].begin, origin[end - 1].end}; }
};

/// A text whose characters stand for themselves. Error(data) names the first byte that is not valid UTF-8.
AlignedText from_utf8(std::string_view text);

/// The character of valid UTF-8 at `at`, which moves past it.
char32_t next_character(std::string_view bytes, std::size_t& at);
void append_utf8(std::string& bytes, char32_t character);

}  // namespace moesweep::text
