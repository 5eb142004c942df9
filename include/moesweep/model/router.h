// Which experts a row is sent to.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "moesweep/model/layer_weights.h"
#include "moesweep/model/model_config.h"

namespace moesweep {

/// The K experts of each row by descending weight.
struct Routing {
    at::Tensor experts;  ///< [N, K] int64
    at::Tensor weights;  ///< [N, K] w_e
    at::Tensor gap;      ///< [N] selection score of rank K minus rank K+1, +inf where the row had no other choice
};

/// Experts that rows go without.
struct Deactivated {
    at::Tensor experts;  ///< [N, E] bool, undefined: none
    Deactivation by = Deactivation::ban;
};

/// Routes rows x [N, D]. A banned expert adds nothing to its group's score, and a group of nothing but banned experts
/// is chosen last. Each row must have K experts left to choose from, which the caller makes sure of by
/// choosable_experts(); else Error(internal). A router that compares sigmoids plus a bias may choose an expert in spite
/// of its logit: only a ban keeps it out for certain.
Routing route(const MoeWeights& moe, const Router& router, const at::Tensor& x, const Deactivated& deactivated = {});

/// How many experts a row can choose from at least under bans [E]: with expert groups, those left in the topk_group
/// groups that have the fewest left.
std::int64_t choosable_experts(const Router& router, const std::vector<bool>& banned);

}  // namespace moesweep
