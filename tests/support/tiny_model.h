// A small random checkpoint of any family, on disk and in memory, for the naive reference.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "moesweep/model/model_config.h"

namespace moesweep {

struct TinyModel {
    ModelConfig config;
    std::map<std::string, std::vector<double>> tensors;  ///< row-major, as F32 on disk
};

/// Writes config.json and model.safetensors (F32) with seeded random weights into `folder`, reads config.json back.
TinyModel write_tiny_model(const std::filesystem::path& folder, const Json& config_json, unsigned seed);

/// config.json of a small model of each family: "qwen3_moe", "mixtral", "glm4_moe".
Json tiny_config(const std::string& family);

}  // namespace moesweep
