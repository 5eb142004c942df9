// Tokens that the files beside tokenizer.json add to it. transformers gives them ids, also behind the last one of the
// embedding; here a text that holds one is refused, for its ids would be others.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "definition.h"

namespace moesweep::text {

struct OtherToken {
    std::string content;
    std::string file;  ///< that names it, in the model's folder
};

/// Those of tokenizer_config.json, special_tokens_map.json and added_tokens.json (each may be absent) that are not
/// among the added tokens of tokenizer.json. Error(data) where a file is broken.
std::vector<OtherToken> read_other_tokens(const std::filesystem::path& model_folder, const Definition& definition);

}  // namespace moesweep::text
