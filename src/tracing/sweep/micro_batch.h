// The cases of a pass that are computed together, and their state on the way through the layers: the hidden states [N,
// D] as layer_pass.h draws them. Run 2b is case b's clean run, 2b + 1 its noised one.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/model/attention.h"
#include "moesweep/model/decoder_layer.h"
#include "moesweep/tracing/sweep_pass.h"
#include "recorder.h"

namespace moesweep {

class MicroBatch {
  public:
    /// Contexts and base rows from the embedding. Without cases it takes its part in a group's steps with no rows.
    MicroBatch(const Weights& weights, std::span<const PassCase> cases, const PassPlan& plan);

    /// Adds the attention block. In the last layer the contexts have done their work with their keys and values, and
    /// only the rows go on.
    void attend(std::int64_t l, const LayerWeights& layer);
    /// Adds a dense layer's feed-forward block.
    void apply_dense(const LayerWeights& layer);
    MoeInput enter_moe(std::int64_t l, const LayerWeights& layer) const;
    /// Adds the MoE block's outputs, notes the base rows' routing, and appends the patched rows of layer `l`.
    void leave_moe(std::int64_t l, const LayerWeights& layer, const MoeInput& input, const at::Tensor& contributions);

    std::int64_t rows() const { return hidden_.size(0) - first_row_; }  ///< alive, contexts left out
    /// Scores all rows: results of the cases, lines in the order in which they arose.
    PassResult finish();

  private:
    void embed();
    at::Tensor patched_rows(std::int64_t l, const at::Tensor& base_experts, const at::Tensor& contributions,
                            const at::Tensor& outputs);
    std::vector<double> score() const;
    DecoderLayer of(const LayerWeights& layer) const;

    const ModelConfig& config_;
    const Weights& weights_;
    std::span<const PassCase> cases_;
    const PassPlan& plan_;
    Precision precision_;
    Rotary rotary_;
    Attention attention_;
    Recorder recorder_;

    at::Tensor hidden_;     // [N, D]
    at::Tensor positions_;  // [N] token position of each row, contexts included
    std::int64_t base_rows_ = 0;
    std::int64_t first_row_ = 0;  // where rows begin: after the contexts, until the last layer drops these
};

}  // namespace moesweep
