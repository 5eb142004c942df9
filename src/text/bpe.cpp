#include "bpe.h"

#include <queue>
#include <tuple>
#include <utility>

#include "aligned_text.h"
#include "moesweep/base/error.h"

namespace moesweep::text {
namespace {

constexpr std::size_t none = static_cast<std::size_t>(-1);

/// Links of the doubly linked list of the remaining tokens.
struct Links {
    std::size_t previous, next;
    bool joined_to_previous = false;
};

struct Candidate {
    std::int32_t rank;
    std::size_t left;  // index of the pair's left token
    std::int32_t id;

    bool operator>(const Candidate& other) const { return std::tie(rank, left) > std::tie(other.rank, other.left); }
};

using Queue = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

/// Merges pairs in place until none is left: O(n log n) in the word's length.
std::vector<Token> join_pairs(std::vector<Token> tokens, const std::unordered_map<std::uint64_t, Bpe::Merge>& merges) {
    std::vector<Links> links(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i)
        links[i] = {i == 0 ? none : i - 1, i + 1 < tokens.size() ? i + 1 : none};

    Queue queue;
    const auto find = [&](std::size_t left, std::size_t right) {
        return merges.find(Bpe::pair_key(tokens[left].id, tokens[right].id));
    };
    const auto offer = [&](std::size_t left, std::size_t right) {
        if (left == none || right == none) return;
        const auto merge = find(left, right);
        if (merge != merges.end()) queue.push({merge->second.rank, left, merge->second.id});
    };
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) offer(i, i + 1);

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        const std::size_t right = links[best.left].next;
        if (links[best.left].joined_to_previous || right == none) continue;
        const auto merge = find(best.left, right);  // the pair may have changed since it was queued
        if (merge == merges.end() || merge->second.id != best.id) continue;

        tokens[best.left] = {best.id, tokens[best.left].begin, tokens[right].end};
        links[right].joined_to_previous = true;
        links[best.left].next = links[right].next;
        if (links[right].next != none) links[links[right].next].previous = best.left;
        offer(links[best.left].previous, best.left);
        offer(best.left, links[best.left].next);
    }

    std::size_t kept = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (!links[i].joined_to_previous) tokens[kept++] = tokens[i];
    tokens.resize(kept);
    return tokens;
}

}  // namespace

std::optional<std::int32_t> Bpe::find(std::string_view piece) const {
    const auto at = vocabulary.find(piece);
    return at == vocabulary.end() ? std::nullopt : std::optional(at->second);
}

std::optional<std::vector<Token>> Bpe::byte_tokens(std::string_view word, std::size_t begin, std::size_t end) const {
    std::vector<Token> bytes;
    for (std::size_t i = begin; i < end; ++i) {
        const auto id = find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(word[i])));
        if (!id) return {};
        bytes.push_back({*id, i, i + 1});
    }
    return bytes;
}

std::vector<Token> Bpe::characters(std::string_view word) const {
    std::vector<Token> tokens;
    bool after_unknown = false;
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t begin = at;
        next_character(word, at);
        const std::string_view character = word.substr(begin, at - begin);
        if (const auto id = find(character)) {
            tokens.push_back({*id, begin, at});
            after_unknown = false;
            continue;
        }
        if (byte_fallback)
            if (const auto bytes = byte_tokens(word, begin, at)) {
                tokens.insert(tokens.end(), bytes->begin(), bytes->end());
                after_unknown = false;
                continue;
            }
        if (!unknown)
            fail(Exit::data, "text to tokenize: '{}' has no token, and the vocabulary no unknown token", character);
        if (after_unknown && fuse_unknown)
            tokens.back().end = at;
        else
            tokens.push_back({*unknown, begin, at});
        after_unknown = true;
    }
    return tokens;
}

std::vector<Token> Bpe::tokenize(std::string_view word) const {
    if (ignore_merges)
        if (const auto id = find(word)) return {{*id, 0, word.size()}};
    return join_pairs(characters(word), merges);
}

}  // namespace moesweep::text
