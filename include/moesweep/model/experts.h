// The experts of a MoE block on the rows that were routed to them.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <span>

#include "moesweep/model/layer_weights.h"
#include "moesweep/model/router.h"

namespace moesweep {

/// Takes the answers E_e(x) [n, D] of the slots [begin, begin + n), which are one expert's or several ones'.
using UseAnswers = std::function<void(std::int64_t begin, const at::Tensor& answers)>;
/// Runs the experts that a rank holds over slots, which are pairs of a row and an expert sorted by expert: slot_rows
/// [S] are rows of x [N, D], counts the slots of each expert of the share.
void run_experts(const MoeWeights& moe, const at::Tensor& x, const at::Tensor& slot_rows,
                 std::span<const std::int64_t> counts, const UseAnswers& use);

/// c_e = w_e E_e(x) of every routed expert, per slot and not summed: [N, K, D] (paper, eq. 5). All experts must be held
/// here. `between` is called after each expert, or after several with few rows.
at::Tensor contributions(
    const MoeWeights& moe, const Routing& routing, const at::Tensor& x, const std::function<void()>& between = [] {});

/// w_e E_e(x) from answers [n, D], which are overwritten, and weights [n, 1].
at::Tensor weigh(at::Tensor answers, const at::Tensor& weights, Precision precision);

/// The MoE block's output: contributions summed in slot order (in parity in the order of experts, as transformers
/// does), plus the shared expert: [N, D].
at::Tensor combine(const MoeWeights& moe, const Routing& routing, const at::Tensor& contributions, const at::Tensor& x);

}  // namespace moesweep
