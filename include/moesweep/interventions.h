// What is put back: functions that turn one site (a case at a layer) into labelled patches of the noised MoE output.
// Adding a control means adding a function here and a Kind in tables.h; nothing else in the sweep knows the kinds.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "moesweep/config.h"
#include "moesweep/tables.h"

namespace moesweep {

/// Which patches are made at a layer. Nothing by default.
struct SitePlan {
    bool block = false;
    Experts experts = Experts::none;
    bool coalition_clean = false, coalition_union = false;
    bool subsets = false;     ///< every non-empty subset of the clean top-k
    bool equal_norm = false;  ///< the site's pair, each scaled to the smaller norm of the two
    bool any() const {
        return block || experts != Experts::none || coalition_clean || coalition_union || subsets || equal_norm;
    }
};

/// What the base runs leave at the last position of one case at one layer. Experts are in slot order (descending weight).
struct Site {
    std::span<const std::int64_t> clean_experts, noised_experts;  ///< K each
    at::Tensor clean_contributions, noised_contributions;         ///< [K, D] c_e (eq. 5)
    at::Tensor clean_output, noised_output;                       ///< [D] MoE block outputs
    std::optional<std::array<std::int32_t, 2>> pair;              ///< two clean-active experts, for equal_norm
};

/// The labels of one site's patches, and the patches beside them.
struct Patches {
    struct Label {
        Kind kind;
        std::int32_t expert = -1;
        std::int32_t members = 0;
        float scale = 1;
        bool clean_active = false, noised_active = false;
    };
    std::vector<Label> labels;
    at::Tensor vectors;  ///< [n, D] what is added to the noised MoE output
    at::Tensor outputs;  ///< [n, D] the patched MoE output itself
};

/// The patches of a site, sorted by (kind, expert, members).
Patches make_patches(const Site& site, const SitePlan& plan);

}  // namespace moesweep
