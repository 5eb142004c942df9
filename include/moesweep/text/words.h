// A text as the words that matter when two are compared, whatever the language.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace moesweep {

/// The words of a text in NFKC, case folded, characters without a shape of their own left out; Turkish dotted and
/// dotless i are one letter. Error(internal) if it is not valid UTF-8.
///
/// * A word is a run of letters, marks and numbers. In scripts that do not separate words (Han, Kana, Thai, Lao, Khmer,
///   Myanmar and others) each character is one, with the marks on it; so is a symbol in any script (`+`, `$`).
///   Whatever else stands between words is dropped: spaces, punctuation, apostrophes (`l'Alberta` is `l`, `alberta`).
/// * A number beside Hangul is a word of its own (`136점` is `136`, `점`).
/// * A full stop is dropped within an abbreviation (`U.S.A.` is `usa`).
/// * Decimal digits of any script become those of ASCII. Digits in groups of three are one number (`1,000`, `1.000`,
///   `1 000` and `1'000` are `1000`); another point or comma between two numbers is a decimal point (`3,5` is `3.5`);
///   where several are left, as in dates, they separate words.
std::vector<std::string> folded_words(std::string_view text);

}  // namespace moesweep
