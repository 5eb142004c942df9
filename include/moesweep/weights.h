// A model's weights as tensors, one layer at a time, converted from the checkpoint to the precision of the run.
// Who supplies a layer is decided here alone: the pass asks for layer(l) and lets go of it when it is through.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "moesweep/config.h"
#include "moesweep/model_config.h"
#include "moesweep/safetensors.h"

namespace moesweep {

/// A SwiGLU feed-forward: down(silu(gate x) * up x).
struct Mlp {
    at::Tensor gate_up;  ///< [2F, D], gate above up
    at::Tensor down;     ///< [D, F]
};

struct MoeWeights {
    at::Tensor router;           ///< [E, D]
    at::Tensor correction_bias;  ///< [E], undefined but for the sigmoid router
    std::vector<Mlp> experts;    ///< E
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

/// A checkpoint opened under an architecture. Every expected tensor is there with its shape and a readable dtype once
/// constructed; values are checked when read: a NaN or an infinity is Error(data) naming file and tensor.
class Weights {
  public:
    Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision);

    LayerWeights layer(std::int64_t index) const;
    at::Tensor final_norm() const;  ///< [D]
    /// Rows of the token embedding and of the output head (the embedding when tied): [n, D].
    at::Tensor embed(std::span<const std::int32_t> ids) const;
    at::Tensor head(std::span<const std::int32_t> ids) const;
    /// Unbiased standard deviation of all elements of the embedding matrix, accumulated in double.
    double embedding_std() const;

    at::ScalarType dtype() const { return dtype_; }
    const Checkpoint& checkpoint() const { return checkpoint_; }

  private:
    at::Tensor read(const std::string& name) const;
    at::Tensor read_rows(const std::string& name, std::span<const std::int32_t> rows) const;
    /// Tensors of one width below each other: [sum of rows, D], or [sum] for vectors.
    at::Tensor read_stacked(const std::vector<std::string>& names) const;
    Mlp read_mlp(const std::string& gate, const std::string& up, const std::string& down) const;
    MoeWeights read_moe(const std::string& prefix) const;

    ModelConfig config_;
    at::ScalarType dtype_;
    Checkpoint checkpoint_;
};

}  // namespace moesweep
