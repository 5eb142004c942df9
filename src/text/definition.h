// What a tokenizer.json says, read and validated: the stages a text passes through.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "added_tokens.h"
#include "bpe.h"
#include "decoder.h"
#include "normalizer.h"
#include "pre_tokenizer.h"
#include "stages.h"

namespace moesweep::text {

struct Definition {
    std::string file;
    std::vector<AddedToken> added;
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    Bpe bpe;
    PostProcessor post_processor;
    std::optional<Decoder> decoder;
    std::string decoder_refusal;  ///< why it cannot be used, if it cannot: only decoding needs it

    /// The id of an added token or of a piece of the vocabulary.
    std::optional<std::int32_t> find(std::string_view piece) const;
};

/// Reads a tokenizer.json. `truncation` and `padding` are not applied (transformers resets both). Error(data) names
/// file and field of what is missing, malformed, or of a kind that is not supported.
Definition read_definition(const std::filesystem::path& path);

/// The BOS token by tokenizer_config.json's bos_token, else config.json's bos_token_id, in the model's folder; each
/// file may be absent. Error(data) if bos_token is not in the vocabulary.
std::optional<std::int32_t> read_bos(const std::filesystem::path& model_folder, const Definition& definition);
/// tokenizer_config.json's add_bos_token; empty if it does not say.
std::optional<bool> read_add_bos(const std::filesystem::path& model_folder);

}  // namespace moesweep::text
