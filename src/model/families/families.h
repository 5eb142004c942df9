// The model families. To add one: write describe_<family> in a file of its own here and name it in model_config.cpp.
#pragma once
#include "moesweep/model_config.h"

namespace moesweep {

void describe_qwen3_moe(const ConfigReader& json, ModelConfig& config);
void describe_mixtral(const ConfigReader& json, ModelConfig& config);
void describe_glm4_moe(const ConfigReader& json, ModelConfig& config);

}  // namespace moesweep
