// A model's weights as tensors, converted from the checkpoint to the precision of the run.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/model/checkpoint.h"
#include "moesweep/model/layer_weights.h"
#include "moesweep/model/model_config.h"
#include "moesweep/model/model_tensors.h"

namespace moesweep {

/// A checkpoint opened under an architecture: whole, or Error(data) with the first of its problems. Values are checked
/// when read: a NaN or an infinity is Error(data) naming file and tensor. Precisions with matrices in bf16 need them
/// stored so.
class Weights {
  public:
    Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision,
            c10::Device device = at::kCPU);

    /// A layer with the experts of a share, on the CPU.
    LayerWeights layer(std::int64_t index, ExpertShare share) const;
    LayerWeights layer(std::int64_t index) const { return layer(index, {0, config_.router.num_experts}); }
    at::Tensor final_norm() const;  ///< [D]
    /// Rows of the token embedding and of the output head: [n, D]. Tied, they are one matrix unless both are stored.
    at::Tensor embed(std::span<const std::int32_t> ids) const;
    at::Tensor head(std::span<const std::int32_t> ids) const;

    /// The embedding matrix in blocks of a fixed number of rows: sum and sum of squares of blocks [first, end), two
    /// doubles a block. Ranks divide the blocks; what follows from all of them does not depend on how.
    std::int64_t embedding_blocks() const;
    std::vector<double> embedding_sums(std::int64_t first, std::int64_t end) const;
    /// Unbiased standard deviation of all elements of the embedding matrix, from the sums of all blocks in order.
    double embedding_std(std::span<const double> sums) const;
    double embedding_std() const { return embedding_std(embedding_sums(0, embedding_blocks())); }

    /// Whether a head that config.json ties to the embedding is stored with other numbers in blocks [first, end) of it.
    bool tied_head_differs(std::int64_t first, std::int64_t end) const;
    /// Says so to the user.
    std::string tied_head_note() const;

    Precision precision() const { return precision_; }
    c10::Device device() const { return device_; }  ///< of all tensors but those of layer()
    at::TensorOptions options() const { return at::TensorOptions(dtype()).device(device_); }  ///< of activations
    at::ScalarType dtype() const { return activation_dtype(precision_); }
    at::ScalarType matrix_dtype() const;  ///< of the matrices: the same or bf16
    const ModelConfig& config() const { return config_; }
    const Checkpoint& checkpoint() const { return checkpoint_; }

    /// Bytes that a layer with this share takes in the run's precision, and in the checkpoint.
    std::int64_t layer_bytes(std::int64_t index, ExpertShare share) const;
    std::int64_t layer_file_bytes(std::int64_t index, ExpertShare share) const;

  private:
    ModelConfig config_;
    Precision precision_;
    c10::Device device_;
    EndTensors ends_;
    Checkpoint checkpoint_;
};

}  // namespace moesweep
