// Byte-pair encoding of one word: adjacent tokens are merged, the pair of lowest rank first.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moesweep::text {

/// A token's id and the half-open range of the word's bytes it covers.
struct Token {
    std::int32_t id;
    std::size_t begin, end;
};

class Bpe {
  public:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view piece) const { return std::hash<std::string_view>()(piece); }
    };
    using Vocabulary = std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>>;
    struct Merge {
        std::int32_t rank, id;  // id: what the pair becomes
    };

    Vocabulary vocabulary;
    std::unordered_map<std::uint64_t, Merge> merges;  // by pair_key
    std::optional<std::int32_t> unknown;              // the id of unk_token
    bool fuse_unknown = false;                        // consecutive unknown characters become one token
    bool byte_fallback = false;                       // an unknown character becomes its bytes' <0xNN> tokens
    bool ignore_merges = false;                       // a word in the vocabulary is taken whole

    static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
        return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    }
    std::optional<std::int32_t> find(std::string_view piece) const;

    /// Error(data) for a character without a token where there is no unknown token either.
    std::vector<Token> tokenize(std::string_view word) const;

  private:
    std::vector<Token> characters(std::string_view word) const;
    std::optional<std::vector<Token>> byte_tokens(std::string_view word, std::size_t begin, std::size_t end) const;
};

}  // namespace moesweep::text
