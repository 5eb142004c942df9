// The token that prompts begin with, by model.bos.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

/// The token that prompts begin with under model.bos, if any. Error(data) for bos = yes without any BOS token.
std::optional<std::int32_t> bos_token(const Tokenizer& tokenizer, Bos setting);

/// The ids of a prompt: those of the text, behind the token that prompts begin with unless the text begins with it
/// itself. A chat template writes the BOS that it wants: its prompts are encoded as with Bos::no. Errors as bos_token.
std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, std::string_view text, Bos setting);

/// bos_token in words; behind it, if model.bos = auto, where the tokenizer's files disagree on it. Errors as bos_token.
std::vector<std::string> bos_lines(const Tokenizer& tokenizer, Bos setting);

}  // namespace moesweep
