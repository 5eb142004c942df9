// Checkpoints that are hard to read: three types in turn, odd offsets, two shards, tensors in random order.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "moesweep/model/layer_source.h"
#include "tiny_model.h"

namespace moesweep {

struct StoredModel {
    ModelConfig config;
    std::map<std::string, std::vector<double>> tensors;  ///< by expected names, row-major, as rounded on disk
    std::map<std::string, std::size_t> bytes;            ///< on disk

    struct Place {
        std::filesystem::path file;
        std::size_t offset;
        std::string dtype;
    };
    std::map<std::string, Place> places;
};

/// An expert's tensors on their own, or all experts' of a layer as slices of one tensor.
enum class ExpertLayout { single, fused };

/// Writes a model of seeded random weights of these types in turn, shuffled over two shards with an index.
StoredModel write_stored_model(const std::filesystem::path& folder, const Json& config_json, unsigned seed,
                               const std::vector<std::string>& dtypes = {"F32", "BF16", "F16"},
                               ExpertLayout layout = ExpertLayout::single);

/// Writes bytes over those of a file.
void overwrite(const std::filesystem::path& file, std::size_t offset, const std::string& bytes);
std::string bytes_at(const std::filesystem::path& file, std::size_t offset, std::size_t count);

/// Every defined tensor of a layer, in a fixed order.
std::vector<at::Tensor> tensors_of(const LayerWeights& layer);

/// Whether two layers have the same tensors, bit for bit, and the same experts.
bool same_bits(const LayerWeights& a, const LayerWeights& b);

}  // namespace moesweep
