// The normalisers of the supported tokenizers: NFC, and SentencePiece's "put a mark in front, write spaces as marks".
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "aligned_text.h"

namespace moesweep::text {

/// Canonical composition. A composed character stands for the first of its parts alone, as in the reference.
struct Nfc {};

/// Puts `mark` before a non-empty text; it stands for the first character.
struct Prepend {
    std::string mark;
};

/// Replaces every occurrence of a literal; the new text stands for the occurrence's last character.
struct Replace {
    std::string pattern, content;
};

using Normalizer = std::vector<std::variant<Nfc, Prepend, Replace>>;

/// Whether marks are put in front of a text, as the file says, or left out (to ask for a bare word).
enum class Marks { as_in_file, none };

AlignedText nfc(const AlignedText& text);
AlignedText apply(const Prepend& step, AlignedText text);
AlignedText apply(const Replace& step, AlignedText text);
AlignedText normalize(const Normalizer& normalizer, AlignedText text, Marks marks);

}  // namespace moesweep::text
