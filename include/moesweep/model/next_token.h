// Greedy decoding: the token that a row's logits name.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "moesweep/model/weights.h"

namespace moesweep {

struct NextTokens {
    std::vector<std::int32_t> ids;  ///< of the greatest logit; the first of equal ones
    std::vector<double> gaps;       ///< the greatest logit minus the next one
};

/// Of hidden states [N, D] after the last layer. The vocabulary is walked in blocks: there are never more than N x
/// vocabulary_block logits. Error(data) where a logit is not finite.
NextTokens next_tokens(const Weights& weights, const at::Tensor& hidden);

inline constexpr std::int64_t vocabulary_block = 4096;

}  // namespace moesweep
