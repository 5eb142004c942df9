// What a pass keeps for the store: lines are noted layer by layer as they arise, and put in case order at the end.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "moesweep/model/router.h"
#include "moesweep/tracing/interventions.h"
#include "moesweep/tracing/sweep_pass.h"

namespace moesweep {

class Recorder {
  public:
    Recorder(const ModelConfig& config, std::span<const PassCase> cases, const PassPlan& plan);

    /// Base rows of one MoE layer, clean and noised of each case in turn: routing [2B, K], contributions [2B, K, D],
    /// outputs [2B, D].
    void routing(std::int64_t layer, const Routing& routing, const at::Tensor& contributions,
                 const at::Tensor& outputs);

    /// The patches of one layer, whose rows follow those noted before.
    void patches(std::int64_t layer, const Patches& patches);

    /// Everything noted, as it was noted, with the deltas of all rows: first the base rows as above, then the patched
    /// ones.
    PassResult finish(const std::vector<double>& deltas);

  private:
    std::span<const PassCase> cases_;
    bool keep_routing_;
    UnitTables tables_;
    std::vector<std::size_t> row_case_;  // of each patched row: its case in the pass
};

}  // namespace moesweep
