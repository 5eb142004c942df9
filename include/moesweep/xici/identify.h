// Which experts are a question's: those that weigh more in the languages in which the answer is right (sections 5.3 to
// 5.6 of arXiv 2603.17102). A dataset at a time, from what was captured of it; the same captures under other rules take
// seconds.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/model/expert_id.h"
#include "moesweep/xici/keys.h"

namespace moesweep {

/// A question in one language.
struct Sequence {
    std::int32_t question = 0;  ///< its number among all of the file: what is drawn depends on it (conditions.h)
    std::int32_t language = 0;  ///< number of the language
    bool right = false;
};

/// What was captured of a dataset. A line of `weights` is a sequence's, [layers, experts]: eq. 1, the gate weight of
/// each expert averaged over the tokens, 0 where it was never routed to.
struct Captures {
    std::vector<std::int32_t> layers;  ///< the decoder layers that have routed experts, ascending
    std::int64_t experts = 0;          ///< of a layer
    std::vector<Sequence> sequences;
    std::span<const float> weights;  ///< [sequences, layers, experts], finite
};

/// identify.* for one model, nothing of it left to be settled.
struct IdentifyRules {
    XiciConfig::Identify keys;
    std::vector<std::int32_t> layers;  ///< in which experts are sought, ascending; all have routed experts
    double tau = 0;
};

/// `is_moe`: for each decoder layer, whether it has routed experts. Auto leaves floor(L / 8) of L layers out at each
/// end, at the bottom from the first layer with routed experts on (Qwen3-30B-A3B: 6 to 41, GLM-4.5-Air: 6 to 40); its
/// tau is 0.01 for routers with a sigmoid, 0.005 for others. Error(usage) for a layer that is not there, or if none of
/// the layers has routed experts.
IdentifyRules identify_rules(const XiciConfig::Identify& keys, const std::vector<bool>& is_moe, bool sigmoid);

/// An expert that passes the test and the threshold. Ranks are among the question's candidates, 1 for the highest U or
/// difference; equal ones share the mean of their ranks.
struct Candidate {
    ExpertId expert;
    double u = 0, p = 0;    ///< of the U test
    double difference = 0;  ///< of the medians, right minus wrong
    double u_rank = 0, difference_rank = 0;
};

struct QuestionExperts {
    std::int32_t question = 0;
    std::int64_t right = 0, wrong = 0;  ///< languages; the question is tested if there are both
    std::int64_t tested = 0;            ///< experts
    std::int64_t significant = 0;       ///< of these, those with p < alpha
    /// By the sum of both ranks, then by layer and expert: a cap keeps the first ones.
    std::vector<Candidate> candidates;

    std::vector<ExpertId> within(std::int64_t cap) const;  ///< the candidates that a cap keeps, ascending
};

struct Identification {
    std::vector<ExpertId> blacklist;         ///< ascending
    std::vector<QuestionExperts> questions;  ///< every one, ascending
};

/// The steps, over the sequences of one dataset:
/// * Blacklist. Of the S experts of all layers, a sequence's top are its max(1, floor(blacklist_top x S)) most weighed
///   ones (of equal ones those of lower layer and number; never one of weight 0; blacklist_top = 0: none). An expert
///   that is among them in more than blacklist_share of the sequences is blacklisted.
/// * Eq. 2. From each weight its mean over the sequences of the same language is subtracted.
/// * U test. Of each expert in rules.layers that is not blacklisted, the values of the languages with a right answer
///   against those with a wrong one; p must be below alpha.
/// * Threshold. The difference of their medians must exceed tau.
Identification identify(const Captures& captures, const IdentifyRules& rules);

}  // namespace moesweep
