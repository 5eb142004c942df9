#include "added_tokens.h"

#include <algorithm>
#include <utility>

#include "unicode.h"

namespace moesweep::text {
namespace {

/// Where the character before `at` begins; at > 0.
std::size_t previous_character(std::string_view text, std::size_t at) {
    do --at;
    while ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
    return at;
}

bool word_ends_at(std::string_view text, std::size_t at) {
    if (at == 0) return false;
    std::size_t before = previous_character(text, at);
    return is_word(next_character(text, before));
}

bool word_begins_at(std::string_view text, std::size_t at) {
    return at < text.size() && is_word(next_character(text, at));
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
    for (std::size_t next = at; next < text.size() && is_space(next_character(text, next));) at = next;
    return at;
}

std::size_t skip_spaces_back(std::string_view text, std::size_t at) {
    while (at > 0) {
        const std::size_t before = previous_character(text, at);
        std::size_t end = before;
        if (!is_space(next_character(text, end))) break;
        at = before;
    }
    return at;
}

}  // namespace

void AddedTokens::add(AddedToken token) {
    auto& list = by_first_byte_[static_cast<unsigned char>(token.content.front())];
    const auto longer = [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); };
    list.insert(std::upper_bound(list.begin(), list.end(), token, longer), std::move(token));
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at) const {
    for (const AddedToken& token : by_first_byte_[static_cast<unsigned char>(text[at])])
        if (text.substr(at).starts_with(token.content)) return &token;
    return nullptr;
}

std::vector<Piece> AddedTokens::split(AlignedText text) const {
    std::vector<Piece> pieces;
    const std::string_view bytes = text.bytes;
    std::size_t taken = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const AddedToken* token = longest_at(bytes, at);
        if (!token) {
            ++at;
            continue;
        }
        std::size_t begin = at, end = at + token->content.size();
        at = end;
        if (token->single_word && (word_ends_at(bytes, begin) || word_begins_at(bytes, end))) continue;
        if (token->lstrip && taken < end) begin = std::max(skip_spaces_back(bytes, begin), taken);
        if (token->rstrip) end = skip_spaces(bytes, end);
        if (begin > taken) pieces.push_back({text.slice(taken, begin), {}});
        pieces.push_back({text.slice(begin, end), token->id});
        taken = end;
    }
    if (pieces.empty() && !text.empty()) {
        pieces.push_back({std::move(text), {}});
    } else if (taken < bytes.size()) {
        pieces.push_back({text.slice(taken, bytes.size()), {}});
    }
    return pieces;
}

}  // namespace moesweep::text
