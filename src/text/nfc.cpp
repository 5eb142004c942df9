// NFC by utf8proc's tables, with origins. What a character of the result stands for is decided by a rule of the
// `tokenizers` package that we must reproduce to have its offsets: every character carries a count of input characters
// it adds (1: none of the input is used up) or swallows (-n: it uses up itself and n more); canonical reordering moves
// the counts along, and the counts are then laid over the input from left to right.
#include <utf8proc.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "normalizer.h"
#include "unicode.h"

namespace moesweep::text {
namespace {

struct Character {
    char32_t code;
    int combining_class;
    int added;  // 1: beyond the input; 0: replaces one input character; -n: swallows n more
};

/// Every character below U+0300 (0xcc 0x80) is its own NFC, and never the second part of a composite.
bool may_change(char byte) {
    return static_cast<unsigned char>(byte) >= 0xcc;
}

void append_decomposition(std::vector<Character>& characters, char32_t code) {
    utf8proc_int32_t parts[8];  // a canonical decomposition has at most four
    int boundary = 0;
    utf8proc_ssize_t n = 1;
    if (unknown_to_normaliser(code))
        parts[0] = static_cast<utf8proc_int32_t>(code);
    else
        n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 8, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
        const auto part = static_cast<char32_t>(parts[i]);
        characters.push_back({part, combining_class(part), i == 0 ? 0 : 1});
    }
}

/// Sorts each run of marks by class, keeping the order within a class.
void reorder(std::vector<Character>& characters) {
    const auto is_mark = [](const Character& c) { return c.combining_class != 0; };
    for (auto run = characters.begin(); run != characters.end();) {
        run = std::find_if(run, characters.end(), is_mark);
        const auto end = std::find_if_not(run, characters.end(), is_mark);
        std::stable_sort(run, end,
                         [](const Character& a, const Character& b) { return a.combining_class < b.combining_class; });
        run = end;
    }
}

std::optional<char32_t> composite(char32_t first, char32_t second) {
    constexpr char32_t before_first_trailing_jamo = 0x11a7;
    if (second == before_first_trailing_jamo) return {};  // utf8proc 2.8 lets a Hangul syllable swallow it
    utf8proc_int32_t pair[] = {static_cast<utf8proc_int32_t>(first), static_cast<utf8proc_int32_t>(second)};
    const auto n =
        utf8proc_normalize_utf32(pair, 2, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    const auto code = static_cast<char32_t>(pair[0]);
    if (n != 1 || unknown_to_normaliser(code)) return {};
    return code;
}

/// The canonical composition algorithm (UAX 15) over decomposed, ordered characters, in place.
void compose(std::vector<Character>& characters) {
    std::size_t kept = 0;
    std::optional<std::size_t> starter;  // index among the kept
    int last_class = -1;                 // of the marks kept since the starter, -1: none
    for (const Character c : characters) {
        const bool blocked = last_class >= c.combining_class;
        if (starter && !blocked) {
            Character& first = characters[*starter];
            if (const auto code = composite(first.code, c.code)) {
                first = {*code, 0, first.added + c.added - 1};
                continue;
            }
        }
        if (c.combining_class == 0) {
            starter = kept;
            last_class = -1;
        } else if (starter) {
            last_class = c.combining_class;
        }
        characters[kept++] = c;
    }
    characters.resize(kept);
}

}  // namespace

AlignedText nfc(const AlignedText& text) {
    if (std::none_of(text.bytes.begin(), text.bytes.end(), may_change)) return text;
    std::vector<Character> characters;
    std::vector<Span> input;
    characters.reserve(text.bytes.size());
    input.reserve(text.bytes.size());
    for (std::size_t at = 0; at < text.bytes.size();) {
        input.push_back(text.origin[at]);
        append_decomposition(characters, next_character(text.bytes, at));
    }
    reorder(characters);
    compose(characters);

    AlignedText normalized;
    std::size_t used = 0;  // input characters
    std::string utf8;
    for (const Character& c : characters) {
        const Span start{input.front().begin, input.front().begin};
        const Span span = c.added <= 0 ? input[used] : used > 0 ? input[used - 1] : start;
        if (c.added <= 0) used += 1 - c.added;
        utf8.clear();
        append_utf8(utf8, c.code);
        normalized.append(utf8, span);
    }
    return normalized;
}

}  // namespace moesweep::text
