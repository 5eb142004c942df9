// Tokens that are recognised in the text itself, before anything else: <s>, <|im_start|>, ...
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aligned_text.h"

namespace moesweep::text {

struct AddedToken {
    std::string content;
    std::int32_t id = 0;
    bool single_word = false;  // not next to a word character
    bool lstrip = false;       // includes the white space before it
    bool rstrip = false;       // and after it
    bool normalized = false;   // looked for in the normalised text
    bool special = false;      // left out where a text is decoded without special tokens
};

/// A part of a text: an added token, or text still to be tokenized (no id).
struct Piece {
    AlignedText text;
    std::optional<std::int32_t> id;
};

/// Finds tokens in a text, the leftmost first and of those at one place the longest.
class AddedTokens {
  public:
    void add(AddedToken token);
    /// The non-empty pieces of a text, in order.
    std::vector<Piece> split(AlignedText text) const;

  private:
    const AddedToken* longest_at(std::string_view text, std::size_t at) const;
    std::array<std::vector<AddedToken>, 256> by_first_byte_;  // longest first
};

}  // namespace moesweep::text
