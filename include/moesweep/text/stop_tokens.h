// The tokens that end an answer.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "moesweep/text/tokenizer.h"

namespace moesweep {

struct StopTokens {
    /// Ascending, each once. Empty if no file names one: then only its greatest length ends an answer.
    std::vector<std::int32_t> ids;
    /// A line where tokenizer_config.json adds a token at which transformers' generate() goes on; else empty.
    std::string note;
};

/// Those of a model's folder, where each file may be absent:
/// - eos_token_id, an id or a list, of generation_config.json, or of config.json where that file is absent: these are
///   the ones of generate() in transformers 5, which does not ask config.json if generation_config.json names none;
/// - eos_token of tokenizer_config.json. Chat models name the end of a turn there (<|im_end|>), and a
///   generation_config.json that was kept from the base model may lack it: answers would run on into made-up turns.
/// Error(data) names file and field of what is broken, of another type, or no token of tokenizer.json.
StopTokens stop_tokens(const std::filesystem::path& model_folder, const Tokenizer& tokenizer);

}  // namespace moesweep
