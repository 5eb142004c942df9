// The sweep by its definition: plain loops in double, one whole forward of one prompt per patch.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tiny_model.h"

namespace moesweep::naive {

using Vector = std::vector<double>;

/// What a MoE block did at the last position.
struct Block {
    std::vector<std::pair<int, double>> routed;  ///< (expert, weight) by descending weight
    std::map<int, Vector> contributions;         ///< c_e of the routed experts
    Vector output;
    double gap = 0;  ///< selection score of rank K minus rank K+1
};

struct Forward {
    std::map<int, Block> blocks;  ///< by layer
    Vector final_hidden;          ///< last position, after the final norm
};

/// Replaces one layer's MoE output at the last position.
struct Override {
    int layer;
    Vector output;
};

/// A forward of `embeddings` (a vector per token).
Forward forward(const TinyModel& model, const std::vector<Vector>& embeddings,
                const std::optional<Override>& patch = {});

/// logit(true) - logit(foil) of a forward.
double delta(const TinyModel& model, const Forward& forward, int true_id, int foil_id);

Vector embedding(const TinyModel& model, int token);

}  // namespace moesweep::naive
