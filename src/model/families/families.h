// The model families. To add one: write describe_<family> in a file of its own here and name it in model_config.cpp.
#pragma once
#include "moesweep/model_config.h"

namespace moesweep {

/// Far above any model, and few enough for a list of every tensor.
inline constexpr std::int64_t most_layers = 1'000, most_experts = 10'000, most_experts_of_all_layers = 200'000;

void describe_qwen3_moe(const ConfigReader& json, ModelConfig& config);
void describe_mixtral(const ConfigReader& json, ModelConfig& config);
void describe_glm4_moe(const ConfigReader& json, ModelConfig& config);

}  // namespace moesweep
