// Models of true shapes with random weights, for benchmarks.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "moesweep/base/json.h"
#include "moesweep/model/model_config.h"

namespace moesweep {

/// config.json of "qwen3" (Qwen3-30B-A3B), "mixtral" (Mixtral-8x7B), "glm4" (GLM-4.5-Air), "small" (Qwen3 at an eighth
/// of its width, eight layers), or of a file by its path. The vocabulary is cut to 1,024 ids. `layers` > 0 sets their
/// number.
Json shape_of(const std::string& model, std::int64_t layers = 0);

/// Floating-point operations of the products of one row with a layer's weights, K of its experts included.
double operations_per_row(const ModelConfig& config, std::int64_t layer);

/// A checkpoint in bf16 with one shard for each layer and one for the rest. Its numbers are random, between 1/16 and 16
/// in size; those of hollow layers are zeros that take no room on the disk.
enum class Layers { random, hollow };
void write_checkpoint(const std::filesystem::path& folder, const Json& config, Layers layers);

/// Random weights, drawn on their device: a tensor's values depend on seed, name, shape, dtype and kind of device
/// alone. Matrices are normal with variance 1 / columns, norms 1, biases 0.
void draw_weights(std::uint64_t seed, const std::string& name, const at::Tensor& values);

}  // namespace moesweep
