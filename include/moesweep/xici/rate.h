// Is an answer right? By comparison with the known ones, or by what another model says to a question about it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moesweep/xici/keys.h"

namespace moesweep {

/// Whether the answer, taken whole, contains one of the known ones (rate.by = exact): its words (text/words.h) occur in
/// the answer's in this order and with nothing between them but articles. `language` is a variant's label, of which the
/// part before the first - or _ is taken for a code of ISO 639 (`en`, `eng_Latn`, `en-paraphrase-3`).
///
/// * Articles of English, German, French, Spanish, Italian, Dutch, Portuguese, Catalan, Swedish and Greek do not count,
///   except as the last word (`vitamin A`). Where a known answer begins with one (`El Salvador`), the match must begin
///   the answer or follow an article, or else `San Salvador` would do.
/// * Arabic's article is taken off every word.
/// * Korean particles and forms of "to be" may follow the last word.
///
/// An answer that names several things is right if one of them is known.
bool is_right(std::string_view answer, const std::vector<std::string>& known, std::string_view language);

/// What the model that rates is asked (rate.prompt).
class RaterPrompt {
  public:
    /// Error(usage) names rate.prompt unless it has {question}, {reference} and {answer} exactly once each.
    explicit RaterPrompt(std::string pattern);
    /// Braces in the texts stay as they are.
    std::string fill(std::string_view question, std::string_view reference, std::string_view answer) const;

  private:
    struct Slot {
        std::size_t begin, end;  // in the pattern
        std::size_t text;        // which of fill's
    };
    std::string pattern_;
    std::vector<Slot> slots_;  // in the order of the pattern
};

/// What the model that rates has said: yes or no by its first word, in any case and with any punctuation around it;
/// otherwise nothing.
std::optional<bool> parse_verdict(std::string_view said);

}  // namespace moesweep
