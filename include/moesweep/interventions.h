// What is put back: functions that turn one site (a case at a layer) into labelled patches of the noised MoE output.
// Adding a control means adding a function here and a Kind in tables.h; nothing else in the sweep knows the kinds.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/config.h"
#include "moesweep/tables.h"

namespace moesweep {

/// What the base runs leave at the last position of one case at one layer. Experts are in slot order (descending weight).
struct Site {
    std::span<const std::int64_t> clean_experts, noised_experts;  ///< K each
    at::Tensor clean_contributions, noised_contributions;         ///< [K, D] c_e (eq. 5)
    at::Tensor clean_output, noised_output;                       ///< [D] MoE block outputs
};

/// The labels of one site's patches, and the patches beside them.
struct Patches {
    struct Label {
        Kind kind;
        std::int32_t expert = -1;
        float scale = 1;
        bool clean_active = false, noised_active = false;
    };
    std::vector<Label> labels;
    at::Tensor vectors;  ///< [n, D] what is added to the noised MoE output
    at::Tensor outputs;  ///< [n, D] the patched MoE output itself
};

/// All patches of a site that the configuration asks for, sorted by (kind, expert).
Patches make_patches(const Site& site, const Config::Sweep& sweep);

}  // namespace moesweep
