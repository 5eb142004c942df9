#include "aligned_text.h"

#include <utf8proc.h>

#include "moesweep/base/error.h"

namespace moesweep::text {

void AlignedText::append(std::string_view utf8, Span span) {
    constexpr std::size_t most_bytes = std::size_t{1} << 20;
    if (bytes.size() + utf8.size() > most_bytes)
        fail(Exit::data, "text to tokenize: the normalizer makes more than {} bytes of it", most_bytes);
    bytes += utf8;
    origin.insert(origin.end(), utf8.size(), span);
}

AlignedText AlignedText::slice(std::size_t begin, std::size_t end) const {
    return {bytes.substr(begin, end - begin), {origin.begin() + begin, origin.begin() + end}};
}

AlignedText from_utf8(std::string_view text) {
    AlignedText aligned;
    aligned.bytes = text;
    aligned.origin.reserve(text.size());
    std::int32_t characters = 0;
    for (std::size_t at = 0; at < text.size();) {
        utf8proc_int32_t character = -1;
        const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                             static_cast<utf8proc_ssize_t>(text.size() - at), &character);
        if (length <= 0) fail(Exit::data, "text to tokenize: byte {}: not valid UTF-8", at);
        aligned.origin.insert(aligned.origin.end(), length, Span{characters, characters + 1});
        ++characters;
        at += length;
    }
    return aligned;
}

char32_t next_character(std::string_view bytes, std::size_t& at) {
    utf8proc_int32_t character = 0;
    at += utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()) + at,
                           static_cast<utf8proc_ssize_t>(bytes.size() - at), &character);
    return static_cast<char32_t>(character);
}

void append_utf8(std::string& bytes, char32_t character) {
    utf8proc_uint8_t buffer[4];
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), buffer);
    bytes.append(reinterpret_cast<const char*>(buffer), length);
}

}  // namespace moesweep::text
