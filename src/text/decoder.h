// The decoder of a tokenizer.json: the pieces of token ids back to text.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "normalizer.h"
#include "pre_tokenizer.h"

namespace moesweep::text {

/// Consecutive pieces <0xNN> become the text of their bytes, or one U+FFFD for each byte if that is not UTF-8.
struct ByteFallback {};

/// All pieces become one.
struct Fuse {};

/// Cuts up to so many of a character from each piece's ends.
struct Strip {
    char32_t character;
    std::size_t start, stop;
};

/// SentencePiece's mark becomes a space, or nothing in the first piece if the pre-tokenizer puts one in front.
struct MarkToSpace {
    std::string mark;
    bool drop_in_front;
};

/// The steps, one after another over all pieces. A tokenizer without any puts a space between the pieces.
using Decoder = std::vector<std::variant<Replace, ByteFallback, Fuse, Strip, MarkToSpace, ByteLevel>>;

/// The decode() of the `tokenizers` package. Error(data) if replacements make more than 16 MiB of the pieces.
std::string decode(const std::optional<Decoder>& decoder, std::vector<std::string> pieces);

/// Bytes as UTF-8; U+FFFD stands for what is none, as in Rust's from_utf8_lossy (one for each maximal part of a
/// character that is cut off, and for each byte that starts none).
std::string lossy_utf8(std::string_view bytes);

}  // namespace moesweep::text
