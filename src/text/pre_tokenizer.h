// The pre-tokenizers of the supported tokenizers: a text into words, which the BPE model then splits on their own.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "aligned_text.h"
#include "normalizer.h"
#include "regex.h"

namespace moesweep::text {

/// Cuts a text at a pattern's matches. With `invert`, what lies between the matches counts as match.
struct Split {
    enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
    Regex pattern;
    Behavior behavior;
    bool invert;
};

/// Puts `mark` before a text that does not begin with it, everywhere or only where the original text begins.
struct PrefixMark {
    std::string mark;
    bool only_at_start;
};

/// Writes every byte as GPT-2's printable character for it.
struct ByteLevel {};

using PreTokenizer = std::vector<std::variant<Replace, PrefixMark, Split, ByteLevel>>;

/// The non-empty words of a text, in order.
std::vector<AlignedText> pre_tokenize(const PreTokenizer& pre_tokenizer, AlignedText text, Marks marks);

/// GPT-2's character for a byte: itself where it is printable Latin-1, else one of U+0100 and following.
char32_t byte_level_character(unsigned char byte);

}  // namespace moesweep::text
