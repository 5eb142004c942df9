#include "decoder.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "moesweep/base/error.h"

namespace moesweep::text {
namespace {

using Pieces = std::vector<std::string>;

constexpr std::string_view replacement_character = "\xef\xbf\xbd";  // U+FFFD

std::string joined(const Pieces& pieces, std::string_view between = "") {
    std::string text;
    for (std::size_t i = 0; i < pieces.size(); ++i) text.append(i == 0 ? "" : between).append(pieces[i]);
    return text;
}

/// Length of the valid character that `bytes` begins with, 0 if it begins with none.
std::size_t character_length(std::string_view bytes) {
    utf8proc_int32_t character = -1;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
                                         static_cast<utf8proc_ssize_t>(bytes.size()), &character);
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

/// Length of the longest beginning of `bytes`, which begin with no whole character, that could begin one; at least 1.
std::size_t broken_length(std::string_view bytes) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char first = byte(0);
    const std::size_t wanted = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first <= 0xef ? 3 : 1;
    if (wanted == 1 || bytes.size() < 2) return 1;
    // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
    const unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < least || byte(1) > most) return 1;
    std::size_t length = 2;
    while (length < std::min(wanted, bytes.size()) && (byte(length) & 0xc0) == 0x80) ++length;
    return length;
}

bool is_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t length = character_length(bytes);
        if (length == 0) return false;
        bytes.remove_prefix(length);
    }
    return true;
}

/// The byte of a piece <0xNN>.
std::optional<char> byte_of(std::string_view piece) {
    unsigned byte = 0;
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return {};
    const char* end = piece.data() + 5;
    const auto [stopped, error] = std::from_chars(piece.data() + 3, end, byte, 16);
    return error == std::errc() && stopped == end ? std::optional(static_cast<char>(byte)) : std::nullopt;
}

Pieces decode_by(const Replace& step, Pieces pieces) {
    constexpr std::size_t most_bytes = std::size_t{1} << 24;  // a few steps can make any text of one piece
    std::size_t bytes = 0;
    for (std::string& piece : pieces) {
        const std::string text = std::exchange(piece, "");
        std::size_t copied = 0;
        for (std::size_t found; (found = text.find(step.pattern, copied)) != text.npos;) {
            piece.append(text, copied, found - copied).append(step.content);
            copied = found + step.pattern.size();
            if (bytes + piece.size() > most_bytes)
                fail(Exit::data, "token ids to decode: the decoder makes more than {} bytes of them", most_bytes);
        }
        bytes += piece.append(text, copied).size();
    }
    return pieces;
}

Pieces decode_by(const ByteFallback&, Pieces pieces) {
    Pieces result;
    std::string bytes;
    const auto flush = [&] {
        if (bytes.empty()) return;
        if (is_utf8(bytes))
            result.push_back(bytes);
        else
            for (std::size_t i = 0; i < bytes.size(); ++i) result.emplace_back(replacement_character);
        bytes.clear();
    };
    for (std::string& piece : pieces) {
        if (const auto byte = byte_of(piece)) {
            bytes += *byte;
            continue;
        }
        flush();
        result.push_back(std::move(piece));
    }
    flush();
    return result;
}

Pieces decode_by(const Fuse&, Pieces pieces) {
    return {joined(pieces)};
}

Pieces decode_by(const Strip& step, Pieces pieces) {
    std::string character;
    append_utf8(character, step.character);
    for (std::string& piece : pieces) {
        std::string_view rest = piece;
        for (std::size_t i = 0; i < step.start && rest.starts_with(character); ++i)
            rest.remove_prefix(character.size());
        for (std::size_t i = 0; i < step.stop && rest.ends_with(character); ++i) rest.remove_suffix(character.size());
        piece = std::string(rest);
    }
    return pieces;
}

Pieces decode_by(const MarkToSpace& step, Pieces pieces) {
    if (step.drop_in_front && !pieces.empty())
        pieces.front() = decode_by(Replace{step.mark, ""}, Pieces{pieces.front()}).front();
    return decode_by(Replace{step.mark, " "}, std::move(pieces));
}

/// The bytes that a piece's characters stand for; its own bytes if one of them stands for none (an added token).
std::string byte_level_bytes(const std::string& piece) {
    static const auto byte_of_character = [] {
        std::unordered_map<char32_t, char> table;
        for (int byte = 0; byte < 256; ++byte)
            table[byte_level_character(static_cast<unsigned char>(byte))] = static_cast<char>(byte);
        return table;
    }();
    std::string bytes;
    for (std::size_t at = 0; at < piece.size();) {
        const auto byte = byte_of_character.find(next_character(piece, at));
        if (byte == byte_of_character.end()) return piece;
        bytes += byte->second;
    }
    return bytes;
}

Pieces decode_by(const ByteLevel&, Pieces pieces) {
    std::string bytes;
    for (const std::string& piece : pieces) bytes += byte_level_bytes(piece);
    return {lossy_utf8(bytes)};
}

}  // namespace

std::string lossy_utf8(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        const std::size_t whole = character_length(bytes);
        text += whole > 0 ? bytes.substr(0, whole) : replacement_character;
        bytes.remove_prefix(whole > 0 ? whole : broken_length(bytes));
    }
    return text;
}

std::string decode(const std::optional<Decoder>& decoder, std::vector<std::string> pieces) {
    if (!decoder) return joined(pieces, " ");
    for (const auto& step : *decoder)
        pieces = std::visit([&](const auto& kind) { return decode_by(kind, std::move(pieces)); }, step);
    return joined(pieces);
}

}  // namespace moesweep::text
