// The token that prompts begin with, by model.bos.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

/// The token that prompts begin with under model.bos, if any. Error(data) for bos = yes without any BOS token.
std::optional<std::int32_t> bos_token(const Tokenizer& tokenizer, Bos setting);

/// The same in words; behind it, if model.bos = auto, where the tokenizer's files disagree on it. Errors as bos_token.
std::vector<std::string> bos_lines(const Tokenizer& tokenizer, Bos setting);

}  // namespace moesweep
