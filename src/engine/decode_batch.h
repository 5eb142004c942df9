// A micro-batch of a decoding step: sequences whose prompts go through whole, or whose newest tokens do.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "moesweep/engine/decode.h"
#include "moesweep/engine/kv_cache.h"
#include "moesweep/model/attention.h"

namespace moesweep {

/// A sequence in flight.
struct InFlight {
    const Prompt* prompt;
    Answer* answer;
    std::int64_t cache_begin;                                 ///< its first row of the cache
    std::int64_t cached = 0;                                  ///< its tokens in the cache
    std::vector<std::vector<std::int32_t>> deactivated = {};  ///< by layer

    bool is_new() const { return cached == 0; }
    std::int64_t rows() const { return is_new() ? static_cast<std::int64_t>(prompt->tokens.size()) : 1; }
};

class DecodeBatch {
  public:
    /// All of `sequences` are new, or none is. Without sequences it takes its part in a group's steps with no rows.
    DecodeBatch(const Weights& weights, const Rotary& rotary, KvCache& cache, const DecodePlan& plan,
                std::vector<InFlight*> sequences);

    void attend(std::int64_t l, const LayerWeights& layer);
    void apply_dense(const LayerWeights& layer);
    MoeInput enter_moe(std::int64_t l, const LayerWeights& layer);
    void leave_moe(std::int64_t l, const LayerWeights& layer, const MoeInput& input, const at::Tensor& contributions);
    std::int64_t rows() const { return hidden_.size(0); }

    /// After the last layer: gives every sequence its next token.
    void answer();

  private:
    static std::vector<Context> contexts(const std::vector<InFlight*>& sequences);
    void embed();
    DecoderLayer of(const LayerWeights& layer) const;
    Deactivated deactivated(std::int64_t l) const;
    void note(std::int64_t l, const Routing& routing, const Deactivated& deactivated);

    const Weights& weights_;
    const Rotary& rotary_;
    KvCache& cache_;
    const DecodePlan& plan_;
    std::vector<InFlight*> sequences_;
    bool new_;
    Attention attention_;

    at::Tensor hidden_;                      // [N, D]: contexts, if the sequences are new, then each one's newest token
    at::Tensor positions_, cache_row_;       // [N] in the sequence, and of the cache
    std::vector<std::size_t> row_sequence_;  // [N]
};

}  // namespace moesweep
