#include "pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace moesweep::text {
namespace {

/// A stretch of a text between two cuts.
struct Stretch {
    Range range;
    bool is_match;
};

/// The matches and what lies between them, in order, covering the text.
std::vector<Stretch> stretches(const Split& split, const AlignedText& text) {
    std::vector<Stretch> all;
    std::size_t covered = 0;
    for (const Range& match : split.pattern.find_all(text.bytes)) {
        if (match.begin > covered) all.push_back({{covered, match.begin}, split.invert});
        all.push_back({match, !split.invert});
        covered = match.end;
    }
    if (covered < text.bytes.size()) all.push_back({{covered, text.bytes.size()}, split.invert});
    return all;
}

/// Joins each match with its neighbour `before` (or after) it, but never two matches.
std::vector<Stretch> merge_matches(std::vector<Stretch> all, bool with_previous) {
    if (!with_previous) std::reverse(all.begin(), all.end());
    std::vector<Stretch> merged;
    bool after_match = false;
    for (const Stretch& stretch : all) {
        if (stretch.is_match && !after_match && !merged.empty()) {
            Range& neighbour = merged.back().range;
            (with_previous ? neighbour.end : neighbour.begin) = with_previous ? stretch.range.end : stretch.range.begin;
        } else {
            merged.push_back(stretch);
        }
        after_match = stretch.is_match;
    }
    if (!with_previous) std::reverse(merged.begin(), merged.end());
    return merged;
}

std::vector<Stretch> join_equal(const std::vector<Stretch>& all) {
    std::vector<Stretch> joined;
    for (const Stretch& stretch : all) {
        if (!joined.empty() && joined.back().is_match == stretch.is_match)
            joined.back().range.end = stretch.range.end;
        else
            joined.push_back(stretch);
    }
    return joined;
}

using Words = std::vector<AlignedText>;

void split_into(Words& words, const Split& split, const AlignedText& text) {
    using enum Split::Behavior;
    std::vector<Stretch> all = stretches(split, text);
    if (split.behavior == removed) std::erase_if(all, [](const Stretch& stretch) { return stretch.is_match; });
    if (split.behavior == contiguous) all = join_equal(all);
    if (split.behavior == merged_with_previous) all = merge_matches(std::move(all), true);
    if (split.behavior == merged_with_next) all = merge_matches(std::move(all), false);
    for (const auto& [range, is_match] : all)
        if (range.end > range.begin) words.push_back(text.slice(range.begin, range.end));
}

AlignedText apply(const PrefixMark& step, AlignedText word) {
    const bool wanted = !step.only_at_start || word.origin.front().begin == 0;
    return wanted && !word.bytes.starts_with(step.mark) ? apply(Prepend{step.mark}, std::move(word)) : word;
}

AlignedText to_byte_level(const AlignedText& word) {
    static const auto utf8_of_byte = [] {
        std::array<std::string, 256> table;
        for (int byte = 0; byte < 256; ++byte)
            append_utf8(table[byte], byte_level_character(static_cast<unsigned char>(byte)));
        return table;
    }();
    AlignedText mapped;
    for (std::size_t i = 0; i < word.bytes.size(); ++i)
        mapped.append(utf8_of_byte[static_cast<unsigned char>(word.bytes[i])], word.origin[i]);
    return mapped;
}

}  // namespace

char32_t byte_level_character(unsigned char byte) {
    // Bytes without a printable character are numbered from U+0100 on, in order: 0-0x20, 0x7f-0xa0, 0xad.
    if (byte <= 0x20) return 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0) return 0x100 + 0x21 + (byte - 0x7f);
    return byte == 0xad ? 0x143 : byte;
}

std::vector<AlignedText> pre_tokenize(const PreTokenizer& pre_tokenizer, AlignedText text, Marks marks) {
    Words words;
    if (!text.empty()) words.push_back(std::move(text));
    for (const auto& step : pre_tokenizer) {
        if (const auto* split = std::get_if<Split>(&step)) {
            Words parts;
            for (const AlignedText& word : words) split_into(parts, *split, word);
            words = std::move(parts);
            continue;
        }
        for (AlignedText& word : words) {
            if (const auto* replace = std::get_if<Replace>(&step)) word = apply(*replace, std::move(word));
            const auto* prefix = std::get_if<PrefixMark>(&step);
            if (prefix && marks == Marks::as_in_file) word = apply(*prefix, std::move(word));
            if (std::holds_alternative<ByteLevel>(step)) word = to_byte_level(word);
        }
    }
    return words;
}

}  // namespace moesweep::text
