// What a checkpoint is, whatever its folder is called.
#pragma once
#include <filesystem>
#include <string>

#include "moesweep/comm/comm.h"

namespace moesweep {

/// SHA-256 of a model's weights, tokenizer and config.json, on every rank. What `known` notes of files that have not
/// changed is not read again. Every rank calls it. SharedError(data, io).
std::string checkpoint_digest(const std::filesystem::path& model_folder, const std::filesystem::path& known,
                              const Comm& world);

}  // namespace moesweep
