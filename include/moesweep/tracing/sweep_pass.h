// The one idea of moesweep: all base runs and all patched rows of a block of cases walk through the layers together,
// once.
//
// The hidden states are one matrix [N, D]: first every run's context (all positions but the last), then one row per
// last position: the base runs' own, then the patched ones in the order in which layers make them. A patch at the last
// position of layer l changes nothing but that position above l, so a patched run is one row from l on, and the live
// rows are always a prefix of those to come.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "moesweep/engine/layer_pass.h"
#include "moesweep/tracing/cases.h"
#include "moesweep/tracing/interventions.h"
#include "moesweep/tracing/tables.h"

namespace moesweep {

/// A case as a pass takes it.
struct PassCase {
    const Case* facts = nullptr;    ///< tokens, subject span, true and foil id
    std::int32_t index = 0;         ///< into /cases
    at::Tensor noise;               ///< [subject tokens, D] fp32, added to the subject's embeddings (eq. 2)
    std::optional<Pair> pair = {};  ///< for equal-norm rows
};

/// One draw of the subject noise: at::randn({subject tokens, D}, fp32, CPU generator seeded with `seed`) * sigma.
at::Tensor subject_noise(std::int64_t subject_tokens, std::int64_t hidden_size, double sigma, std::int64_t seed);

/// What a pass shall make and keep, and how.
struct PassPlan {
    std::vector<SitePlan> sites;  ///< per layer: the rows made there (MoE layers only)
    Vectors vectors = Vectors::none;
    bool routing = true;             ///< keep the routing of the base runs
    std::int64_t micro_batches = 1;  ///< into which the cases are cut; every rank of a group has as many
    PassControl control = {};
};

/// Results in the order of the cases given.
struct PassResult {
    std::vector<double> delta_clean, delta_noised;  ///< per case, in logits (eq. 1)
    UnitTables tables;  ///< sorted as tables.h says; their range of cases is left to the caller
};

/// Walks all layers once. The numbers of a case do not depend on which other cases are in the pass, on the
/// micro-batches or on the group. Every rank of the group calls it, also one without cases. Nothing if some rank was
/// to stop.
std::optional<PassResult> run_pass(const Engine& engine, std::span<const PassCase> cases, const PassPlan& plan,
                                   Traffic* traffic = nullptr);

}  // namespace moesweep
