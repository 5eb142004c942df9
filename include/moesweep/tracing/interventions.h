// What is put back: functions that name the patches of a layer's cases, and one that makes their vectors, all at once.
// Adding a control means adding a function to interventions.cpp and a Kind to tables.h; nothing else in the sweep knows
// the kinds.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "moesweep/tracing/keys.h"
#include "moesweep/tracing/tables.h"

namespace moesweep {

/// Which patches are made at a layer. Nothing by default.
struct SitePlan {
    bool block = false;
    Experts experts = Experts::none;
    bool coalition_clean = false, coalition_union = false;
    bool subsets = false;     ///< every non-empty subset of the clean top-k
    bool equal_norm = false;  ///< the case's pair, each scaled to the smaller norm of the two
    bool any() const {
        return block || experts != Experts::none || coalition_clean || coalition_union || subsets || equal_norm;
    }
};

/// Two clean-active experts of a case, for equal_norm.
using Pair = std::array<std::int32_t, 2>;

/// What the base runs leave at the last position of B cases at one layer: run 2b is case b's clean run, 2b + 1 its
/// noised one. Experts are in slot order (descending weight).
struct LayerSites {
    std::span<const std::int64_t> experts;       ///< [2B, K]
    at::Tensor contributions;                    ///< [2B, K, D] c_e (eq. 5)
    at::Tensor outputs;                          ///< [2B, D] MoE block outputs
    std::span<const std::optional<Pair>> pairs;  ///< [B]
};

/// A patched run. Its patch is the clean block's output or, of all other kinds, a sum of patches of experts.
struct Intervention {
    std::size_t case_in_batch;  ///< b
    Kind kind;
    std::int32_t expert = -1;
    std::int32_t members = 0;
    double scale = 1;
    bool clean_active = false, noised_active = false;
};

/// Interventions, and their patches beside them.
struct Patches {
    std::vector<Intervention> interventions;
    at::Tensor vectors;  ///< [n, D] what is added to the noised MoE output
    at::Tensor outputs;  ///< [n, D] the patched MoE output itself
};

/// The patches of a layer, sorted by (case, kind, expert, members).
Patches make_patches(const LayerSites& sites, const SitePlan& plan);

}  // namespace moesweep
