// Text to token ids, from a Hugging Face tokenizer.json: byte-level BPE (Qwen3, GLM) and the SentencePiece kind (Mixtral).
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moesweep {

/// Token ids and, for each, the half-open span of the text it stands for, in Unicode code points (as the `tokenizers`
/// package's offsets). Tokens that the post-processor adds (BOS) have the empty span (0, 0).
struct Encoding {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> begin, end;
};

class Tokenizer {
  public:
    /// Reads MODEL/tokenizer.json. Error(data) names the file and the field that is missing or of an unsupported kind.
    explicit Tokenizer(const std::filesystem::path& model_folder);
    ~Tokenizer();
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;

    /// The ids of a UTF-8 text without special tokens around it. Error(data) if the text is not valid UTF-8.
    Encoding encode(std::string_view text) const;

    /// The id that stands for a word following a space: of " X" in byte-level BPE, of "X" where the normaliser prepends
    /// a space itself (SentencePiece). Empty when that is not exactly one token.
    std::optional<std::int32_t> single_token_after_space(std::string_view word) const;

    /// The id of the bare word when it is one token. In the SentencePiece kind: the piece without its space mark.
    std::optional<std::int32_t> single_token_bare(std::string_view word) const;

    /// The BOS id that the tokenizer's post-processor prepends by default, empty if it prepends none (model.bos = auto).
    std::optional<std::int32_t> default_bos() const;
    /// The BOS token's id, by the post-processor, tokenizer_config.json's bos_token or config.json (model.bos = yes).
    std::optional<std::int32_t> bos() const;

    /// A token's piece as it stands in the vocabulary. id must be in [0, size()).
    std::string_view piece(std::int32_t id) const;
    std::int32_t size() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace moesweep
