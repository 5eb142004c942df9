// Tokens that the files beside tokenizer.json add to it. transformers gives them ids, even beyond the embedding's last
// row; here a text that contains one is refused, because its ids would differ.
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
