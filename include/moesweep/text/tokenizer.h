// Text to token ids and back, from a Hugging Face tokenizer.json: byte-level BPE (Qwen3, GLM) and the SentencePiece
// kind (Mixtral).
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
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
    /// Reads MODEL/tokenizer.json. Error(data) names the file and the byte where its JSON is broken, or the field that
    /// is missing, malformed or of an unsupported kind, or says how to make the file of a tokenizer of another kind.
    explicit Tokenizer(const std::filesystem::path& model_folder);
    ~Tokenizer();
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;

    /// The ids of a UTF-8 text without special tokens around it; a literal "<s>" in it is the token <s>. Ids and spans
    /// are those of the `tokenizers` package's encode(text, add_special_tokens=False). Error(data) if the text is not
    /// valid UTF-8, has a character without a token in a vocabulary without an unknown token, or contains a token of
    /// note().
    Encoding encode(std::string_view text) const;

    /// The text of token ids: that of the `tokenizers` package's decode(ids, skip_special_tokens=...). Ids without a
    /// token stand for nothing; bytes that are not UTF-8 become U+FFFD. Error(data) if the file's decoder is malformed
    /// or of an unsupported kind, which keeps no text from being encoded.
    std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

    /// The id that stands for a word following a space: of " X" in byte-level BPE, of "X" where the normaliser prepends
    /// a space itself (SentencePiece). Empty when that is not exactly one token, or the unknown token.
    std::optional<std::int32_t> single_token_after_space(std::string_view word) const;

    /// The id of the bare word when it is one token. In the SentencePiece kind: the piece without its space mark.
    std::optional<std::int32_t> single_token_bare(std::string_view word) const;

    /// The BOS id that the tokenizer's post-processor prepends by default, empty if it prepends none (model.bos =
    /// auto). Error(data) if it prepends several tokens.
    std::optional<std::int32_t> default_bos() const;
    /// The BOS token's id (model.bos = yes): by the post-processor if it prepends one token, else by the model folder's
    /// tokenizer_config.json (bos_token) or config.json (bos_token_id), which are read now; empty if none names one.
    /// Error(data) if they are broken or name no token.
    std::optional<std::int32_t> bos() const;
    /// A line on what the model folder's other files say against default_bos(), which wins nevertheless, as in
    /// transformers 5 (older versions went by add_bos_token); empty if they agree. Error(data) if
    /// tokenizer_config.json is broken.
    std::string bos_dispute() const;

    /// A line on tokens that transformers knows from tokenizer_config.json or an older file beside it, and that
    /// tokenizer.json lacks; empty if there are none.
    std::string note() const;

    /// The id of a token by its piece; empty if there is none.
    std::optional<std::int32_t> find(std::string_view piece) const;
    /// A token's piece as it stands in the vocabulary. id must be in [0, size()).
    std::string_view piece(std::int32_t id) const;
    std::int32_t size() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace moesweep
