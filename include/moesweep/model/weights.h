// A model's weights as tensors, converted from the checkpoint to the precision of the run. Who supplies a layer is
// decided here alone: a pass asks a LayerSource for its layers in order, whether they lie in memory or come from the
// disk.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moesweep/model/checkpoint.h"
#include "moesweep/config/config.h"

namespace moesweep {

/// A SwiGLU feed-forward: down(silu(gate x) * up x).
struct Mlp {
    at::Tensor gate_up;  ///< [2F, D], gate above up
    at::Tensor down;     ///< [D, F]
};

/// The experts [first, end) of every layer that one rank holds. Ranks in order hold all of them; sizes differ by one at
/// most.
struct ExpertShare {
    std::int64_t first = 0, end = 0;
};
ExpertShare expert_share(std::int64_t experts, std::int64_t rank, std::int64_t ranks);

struct MoeWeights {
    Precision precision = Precision::fp32;
    at::Tensor router;           ///< [E, D]
    at::Tensor correction_bias;  ///< [E], undefined but for the sigmoid router
    std::int64_t first_expert = 0;
    std::vector<Mlp> experts;  ///< those of the share: experts[e - first_expert] is expert e
    std::optional<Mlp> shared;
};

struct LayerWeights {
    at::Tensor input_norm, post_attention_norm;  ///< [D]
    at::Tensor qkv, qkv_bias;                    ///< [(H + 2 Hkv) Dh, D], [(H + 2 Hkv) Dh] or undefined
    at::Tensor output, output_bias;              ///< [D, H Dh], [D] or undefined
    at::Tensor q_norm, k_norm;                   ///< [Dh] or undefined
    std::optional<Mlp> dense;                    ///< exactly one of dense and moe
    std::optional<MoeWeights> moe;
};

/// The dtype of activations, norms, biases and routers: fp32 or fp64.
at::ScalarType activation_dtype(Precision precision);

/// A checkpoint opened under an architecture: whole, or Error(data) with the first of its problems. Values are checked
/// when read: a NaN or an infinity is Error(data) naming file and tensor. Precisions with matrices in bf16 need them
/// stored so.
class Weights {
  public:
    Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision,
            c10::Device device = at::kCPU);

    /// A layer with the experts of a share, on the CPU.
    LayerWeights layer(std::int64_t index, ExpertShare share) const;
    LayerWeights layer(std::int64_t index) const { return layer(index, {0, config_.num_experts}); }
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
    Checkpoint checkpoint_;
};

/// Supplies the layers of pass after pass, on the device of the weights.
///   resident: all layers are read once, by the constructor.
///   streamed: while layer l is in use a thread reads layer l + 1 into the other of two buffers, which are all the memory it
///     takes (2 x the largest layer in the run's precision, and a piece of the file); what has been read is dropped from
///     the page cache, so that the cache is not what holds the model. Layer 0 of the next pass is read when it is asked for.
/// Off the CPU, layers are read into two more buffers of the host, whence they are copied while the device computes.
class LayerSource {
  public:
    LayerSource(const Weights& weights, ExpertShare share, bool streamed);
    /// Resident layers whose values are not read: `make` writes those of each stored tensor, given its name there and
    /// its place [as stored] on the device. For benchmarks of models too large to be carried to where they run.
    using Make = std::function<void(const std::string& name, const at::Tensor& values)>;
    LayerSource(const Weights& weights, ExpertShare share, const Make& make);
    ~LayerSource();
    LayerSource(const LayerSource&) = delete;
    LayerSource& operator=(const LayerSource&) = delete;

    /// Layer `index`, valid until the next call. Passes ask for 0, 1, ... L - 1; one that was abandoned may be followed
    /// by another from 0. An Error of the reader is thrown here.
    const LayerWeights& layer(std::int64_t index);

    ExpertShare share() const;
    bool streamed() const;
    /// That the weights take on their device; on the CPU with the reader's buffer.
    std::int64_t memory_bytes() const;
    std::int64_t bytes_read() const;  ///< of the checkpoint so far
    double seconds_waited() const;    ///< by layer() for the reader

  private:
    void open(const Weights& weights);

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace moesweep
