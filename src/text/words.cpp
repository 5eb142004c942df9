#include "moesweep/text/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "aligned_text.h"
#include "moesweep/base/error.h"

namespace moesweep {
namespace {

using Characters = std::u32string_view;

/// NFKC with case folded (Unicode's NFKC_Casefold).
std::u32string folded(std::string_view text) {
    utf8proc_uint8_t* bytes = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &bytes,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                                                  UTF8PROC_CASEFOLD | UTF8PROC_IGNORE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(bytes, &std::free);
    if (size < 0) fail(Exit::internal, "a text to compare is not valid UTF-8");
    const std::string_view utf8(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    std::u32string characters;
    for (std::size_t at = 0; at < utf8.size();) characters += text::next_character(utf8, at);
    return characters;
}

bool is_hangul(char32_t c) {
    return (0x1100 <= c && c <= 0x11ff) || (0x3131 <= c && c <= 0x318f) || (0xac00 <= c && c <= 0xd7ff);
}

enum class Kind { letter, digit, mark, whole_word, other };

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

/// Whether the character belongs to a script that does not separate words.
bool is_unseparated(char32_t c) {
    constexpr struct {
        char32_t first, last;
    } blocks[] = {{0x0e00, 0x0eff},     // Thai, Lao
                  {0x1000, 0x109f},     // Myanmar
                  {0x1780, 0x17ff},     // Khmer
                  {0x1950, 0x19ff},     // Tai Le, New Tai Lue, Khmer symbols
                  {0x1a20, 0x1aaf},     // Tai Tham
                  {0x2e80, 0x2fdf},     // radicals
                  {0x3005, 0x3007},     // ideographic marks and zero
                  {0x3021, 0x3029},     // Hangzhou numerals
                  {0x3031, 0x30ff},     // Kana
                  {0x3100, 0x312f},     // Bopomofo
                  {0x31a0, 0x31ff},     // Bopomofo, Kana
                  {0x3400, 0x9fff},     // Han
                  {0xa000, 0xa4cf},     // Yi
                  {0xa980, 0xa9ff},     // Javanese, Myanmar
                  {0xaa60, 0xaadf},     // Myanmar, Tai Viet
                  {0xf900, 0xfaff},     // Han
                  {0x1b000, 0x1b16f},   // Kana
                  {0x20000, 0x3ffff}};  // Han
    return std::ranges::any_of(blocks, [c](const auto& block) { return block.first <= c && c <= block.last; });
}

Kind kind_of(char32_t c) {
    constexpr char32_t turned_comma = 0x2bb, apostrophe = 0x2bc;  // letters by their category
    if (c == turned_comma || c == apostrophe) return Kind::other;
    switch (category(c)) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_NO:
            return is_unseparated(c) ? Kind::whole_word : Kind::letter;
        case UTF8PROC_CATEGORY_ND:
            return Kind::digit;
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
            return Kind::mark;
        case UTF8PROC_CATEGORY_SM:
        case UTF8PROC_CATEGORY_SC:
        case UTF8PROC_CATEGORY_SO:
            return Kind::whole_word;
        default:
            return Kind::other;
    }
}

/// The digit's value as an ASCII digit. Unicode keeps the ten decimal digits of a script together, in their order.
char32_t ascii_digit(char32_t c) {
    char32_t zero = c;
    while (category(zero - 1) == UTF8PROC_CATEGORY_ND) --zero;
    return U'0' + (c - zero) % 10;
}

/// In place: one letter for both of Turkish's i, ASCII for digits and for the signs between them; no strokes that only
/// stretch an Arabic word.
void unify(std::u32string& characters) {
    constexpr char32_t dotless_i = 0x131, dot_above = 0x307;
    constexpr char32_t arabic_decimal = 0x66b, arabic_thousands = 0x66c, tatweel = 0x640, right_quote = 0x2019;
    std::size_t kept = 0;
    for (const char32_t c : characters) {
        if (c == dot_above && kept > 0 && characters[kept - 1] == U'i') continue;
        if (c == tatweel) continue;
        characters[kept++] = kind_of(c) == Kind::digit ? ascii_digit(c)
                             : c == dotless_i          ? U'i'
                             : c == arabic_decimal     ? U'.'
                             : c == arabic_thousands   ? U','
                             : c == right_quote        ? U'\''
                                                       : c;
    }
    characters.resize(kept);
}

bool is_digit(char32_t c) {
    return U'0' <= c && c <= U'9';
}

/// A run of digits with single signs between them: one group more than signs.
struct DigitRun {
    std::vector<Characters> groups;
    std::u32string signs;
};

/// Whether the first `n` signs part a number into groups of three digits.
bool is_grouped(const DigitRun& run, std::size_t n) {
    if (n == 0) return true;
    const auto has_three = [](Characters group) { return group.size() == 3; };
    return run.groups[0].size() <= 3 && run.groups[0][0] != U'0' && run.signs.find_first_not_of(run.signs[0]) >= n &&
           std::all_of(run.groups.begin() + 1, run.groups.begin() + 1 + static_cast<std::ptrdiff_t>(n), has_three);
}

/// The run as one number, empty if it is several.
std::u32string number(const DigitRun& run) {
    const std::size_t n = run.signs.size();
    const bool has_decimals = !is_grouped(run, n);
    if (has_decimals) {
        const char32_t last = run.signs.back();
        if ((last != U'.' && last != U',') || run.signs.find(last) != n - 1 || !is_grouped(run, n - 1)) return {};
    }
    std::u32string joined;
    for (std::size_t i = 0; i <= n; ++i) {
        if (has_decimals && i == n) joined += U'.';
        joined += run.groups[i];
    }
    return joined;
}

/// Cuts a unified text into words.
class Splitter {
  public:
    explicit Splitter(Characters text) : text_(text) {}

    std::vector<std::u32string> words() {
        while (at_ < text_.size()) step();
        return std::move(words_);
    }

  private:
    enum class Last { closed, open, single };  // whether the last word may grow; single: by marks alone

    void step() {
        const char32_t c = text_[at_];
        switch (kind_of(c)) {
            case Kind::digit:
                if (last_ == Last::open && !is_hangul(words_.back().back())) return grow();
                return take_digits();
            case Kind::letter:
                if (last_ == Last::open && !(is_hangul(c) && is_digit(words_.back().back()))) return grow();
                return begin(Last::open);
            case Kind::mark:
                if (last_ != Last::closed) return grow();
                ++at_;  // it stands on nothing: an accent in place of an apostrophe
                return;
            case Kind::whole_word:
                return begin(Last::single);
            case Kind::other:
                if (const std::size_t steps = steps_to_initial()) {
                    stride_ = steps;
                    at_ += steps;
                    part_ = 0;
                    return;
                }
                last_ = Last::closed;
                ++at_;
        }
    }

    void begin(Last last) {
        words_.emplace_back();
        part_ = stride_ = 0;
        last_ = last;
        grow();
    }
    void grow() {
        words_.back() += text_[at_++];
        ++part_;
    }

    /// At a full stop behind a single letter: how far the abbreviation's next letter is, 1 in "U.S.", 2 in "J. K. X",
    /// the same throughout a word; 0 if there is none.
    std::size_t steps_to_initial() const {
        if (text_[at_] != U'.' || last_ != Last::open || part_ != 1 || kind_at(at_ - 1) != Kind::letter) return 0;
        const bool is_spaced = at_ + 3 < text_.size() && text_[at_ + 1] == U' ' && text_[at_ + 3] == U'.';
        const std::size_t steps = is_spaced ? 2 : 1;
        return kind_at(at_ + steps) == Kind::letter && (stride_ == 0 || stride_ == steps) ? steps : 0;
    }
    Kind kind_at(std::size_t at) const { return at < text_.size() ? kind_of(text_[at]) : Kind::other; }

    /// Adds the numbers of the run of digits that begins here.
    void take_digits() {
        DigitRun run = run_at(U".,' ");
        std::u32string one = number(run);
        if (one.empty()) {
            run = run_at(U".,'");
            one = number(run);
        }
        if (one.empty())
            words_.insert(words_.end(), run.groups.begin(), run.groups.end());
        else
            words_.push_back(one);
        for (const Characters group : run.groups) at_ += group.size();
        at_ += run.signs.size();
        part_ = stride_ = 0;
        last_ = Last::open;  // "5th"
    }

    DigitRun run_at(Characters allowed) const {
        DigitRun run;
        std::size_t at = at_;
        for (;;) {
            const std::size_t begin = at;
            while (at < text_.size() && is_digit(text_[at])) ++at;
            run.groups.push_back(text_.substr(begin, at - begin));
            if (at + 1 >= text_.size() || allowed.find(text_[at]) == allowed.npos || !is_digit(text_[at + 1]))
                return run;
            run.signs += text_[at++];
        }
    }

    Characters text_;
    std::size_t at_ = 0;
    std::vector<std::u32string> words_;
    Last last_ = Last::closed;
    std::size_t part_ = 0;    // characters of the last word, in an abbreviation since its last full stop
    std::size_t stride_ = 0;  // from its full stops to the letters behind them, 0: none so far
};

std::string utf8(Characters word) {
    std::string bytes;
    for (const char32_t c : word) text::append_utf8(bytes, c);
    return bytes;
}

}  // namespace

std::vector<std::string> folded_words(std::string_view text) {
    std::u32string characters = folded(text);
    unify(characters);
    std::vector<std::string> words;
    for (const std::u32string& word : Splitter(characters).words()) words.push_back(utf8(word));
    return words;
}

}  // namespace moesweep
