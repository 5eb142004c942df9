#include "unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "aligned_text.h"

namespace moesweep::text {
namespace {

struct CharacterRange {
    char32_t first, last;
};

// Letters of Unicode 15 and 16, which PCRE2 10.42 (Unicode 14) does not know; found by asking both about every
// character.
constexpr CharacterRange new_letters[] = {
    {0x1c89, 0x1c8a},   {0xa7cb, 0xa7cd},   {0xa7da, 0xa7dc},   {0x105c0, 0x105f3}, {0x10d4a, 0x10d65},
    {0x10d6f, 0x10d85}, {0x10ec2, 0x10ec4}, {0x1123f, 0x11240}, {0x11380, 0x11389}, {0x1138b, 0x1138b},
    {0x1138e, 0x1138e}, {0x11390, 0x113b5}, {0x113b7, 0x113b7}, {0x113d1, 0x113d1}, {0x113d3, 0x113d3},
    {0x11bc0, 0x11be0}, {0x11f02, 0x11f02}, {0x11f04, 0x11f10}, {0x11f12, 0x11f33}, {0x1342f, 0x1342f},
    {0x13441, 0x13446}, {0x13460, 0x143fa}, {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff},
    {0x1b132, 0x1b132}, {0x1b155, 0x1b155}, {0x1df25, 0x1df2a}, {0x1e030, 0x1e06d}, {0x1e4d0, 0x1e4eb},
    {0x1e5d0, 0x1e5ed}, {0x1e5f0, 0x1e5f0}, {0x2b739, 0x2b739}, {0x2ebf0, 0x2ee5d}, {0x31350, 0x323af}};

// Numbers, likewise.
constexpr CharacterRange new_numbers[] = {
    {0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9}, {0x11f50, 0x11f59}, {0x16130, 0x16139},
    {0x16d70, 0x16d79}, {0x1ccf0, 0x1ccf9}, {0x1d2c0, 0x1d2d3}, {0x1e4f0, 0x1e4f9}, {0x1e5f1, 0x1e5fa}};

// Combining marks newer than the reference normaliser's tables (Unicode 9), which take them for starters.
constexpr CharacterRange new_marks[] = {{0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
                                        {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
                                        {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27},
                                        {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
                                        {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
                                        {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34},
                                        {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45},
                                        {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f},
                                        {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}};

// The only canonical composite of Unicode 10 to 15.
constexpr char32_t new_composite = 0x11938;

template <std::size_t n>
bool contains(const CharacterRange (&ranges)[n], char32_t character) {
    const auto above =
        std::upper_bound(std::begin(ranges), std::end(ranges), character,
                         [](char32_t value, const CharacterRange& range) { return value < range.first; });
    return above != std::begin(ranges) && character <= std::prev(above)->last;
}

char32_t stand_in(char32_t character) {
    constexpr char32_t mongolian_vowel_separator = 0x180e, zero_width_space = 0x200b;  // neither is White_Space
    constexpr char32_t ideograph = 0x4e00, long_ideograph = 0x20000, long_digit = 0x1d7ce;
    if (character == mongolian_vowel_separator) return zero_width_space;
    if (contains(new_letters, character)) return character < 0x10000 ? ideograph : long_ideograph;
    if (contains(new_numbers, character)) return long_digit;
    return character;
}

}  // namespace

bool is_space(char32_t c) {
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_word(char32_t c) {
    // Alphabetic symbols: circled and squared Latin letters.
    constexpr CharacterRange lettered_symbols[] = {
        {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
    constexpr char32_t zero_width_non_joiner = 0x200c, zero_width_joiner = 0x200d;
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_PC:
            return true;
        default:
            return c == zero_width_non_joiner || c == zero_width_joiner || contains(lettered_symbols, c) ||
                   contains(new_letters, c);
    }
}

int combining_class(char32_t character) {
    if (contains(new_marks, character)) return 0;
    return utf8proc_get_property(static_cast<utf8proc_int32_t>(character))->combining_class;
}

bool unknown_to_normaliser(char32_t character) {
    return character == new_composite;
}

std::string as_pcre2_knows_it(std::string_view text) {
    const auto beyond_u07ff = [](char byte) { return static_cast<unsigned char>(byte) >= 0xe0; };
    if (std::none_of(text.begin(), text.end(), beyond_u07ff)) return std::string(text);
    std::string known;
    known.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) append_utf8(known, stand_in(next_character(text, at)));
    return known;
}

}  // namespace moesweep::text
