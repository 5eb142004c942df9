// Character properties as the `tokenizers` package sees them. Three Unicode versions meet here: its regular expressions
// know letters that PCRE2 10.42 does not, and its normaliser's tables are older than utf8proc's.
#pragma once
#include <string>
#include <string_view>

namespace moesweep::text {

/// The White_Space property.
bool is_space(char32_t character);

/// \w: Alphabetic, marks, decimal digits, connector punctuation and the two joiners.
bool is_word(char32_t character);

/// The canonical combining class.
int combining_class(char32_t character);

/// Whether the reference does not know a character, so that its normalisation leaves it as it is.
bool unknown_to_normaliser(char32_t character);

/// A text of the same length in which characters that PCRE2's \p{L}, \p{N} and \s judge otherwise than the reference
/// are replaced by one of the right kind. Finer classes (\p{Lu}, scripts) of those characters are lost.
std::string as_pcre2_knows_it(std::string_view text);

}  // namespace moesweep::text
