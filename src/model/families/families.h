// The model families. To add one: describe it in a file of its own here, and name it in families.cpp.
#pragma once
#include "config_reader.h"
#include "moesweep/model/model_config.h"
#include "tensor_list.h"

namespace moesweep {

/// Far above any model, and few enough for a list of every tensor.
inline constexpr std::int64_t most_layers = 1'000, most_experts = 10'000, most_experts_of_all_layers = 200'000;

struct Family {
    ModelConfig defaults;  ///< model_type, what transformers' class gives to fields left out, and what no field says
    void (*read)(const ConfigReader& json, ModelConfig& config);  ///< the fields that not all families have
    void (*list_moe)(TensorList& list, ExpertShare share);  ///< the tensors of a MoE block, with the experts of a share
};
extern const Family qwen3_moe, mixtral, glm4_moe;

/// nullptr where no family has this name.
const Family* find_family(const std::string& model_type);
/// "a, b, c", for messages.
std::string family_names();

}  // namespace moesweep
