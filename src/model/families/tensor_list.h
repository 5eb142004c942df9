// What families share in naming their tensors: the names of Llama and its descendants.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "moesweep/model/model_tensors.h"

namespace moesweep {

/// The three matrices of a SwiGLU feed-forward.
struct SwigluNames {
    std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
};

/// Collects the tensors of one layer. Names are those below "model.layers.N.".
class TensorList {
  public:
    TensorList(const ModelConfig& config, std::int64_t layer);
    const ModelConfig& config() const { return config_; }

    ExpectedTensor& add(Slot slot, const std::string& name, std::vector<std::int64_t> shape, std::int64_t expert = -1);

    /// The norms before both blocks; q, k, v and o with the biases and the norms of heads that the configuration has.
    void add_norms_and_attention();
    void add_dense();
    // Routers and experts may also be stored as transformers 5 holds them in memory, and saves them with
    // save_original_format=False: under one name in all families, the experts fused.
    void add_router(const std::string& name);
    /// Matrices PREFIX.E.NAME.weight.
    void add_experts(ExpertShare share, const std::string& prefix, const SwigluNames& names = {});
    void add_swiglu(Slot gate_up, Slot down, const std::string& prefix, std::int64_t inner_size);

    std::vector<LayerTensor> tensors() && { return std::move(tensors_); }

  private:
    const ModelConfig& config_;
    std::string prefix_;
    std::vector<LayerTensor> tensors_;
};

}  // namespace moesweep
