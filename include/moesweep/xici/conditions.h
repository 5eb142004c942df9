// Which experts are deactivated when a question is asked again: its own, and those of the baselines (section 6 of arXiv
// 2603.17102, and beyond it). All that is drawn comes from CPython's random.Random with a seed of deactivate.seed and
// the question's number, and depends on no other dataset.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/xici/identify.h"

namespace moesweep {

enum class SetKind {
    identified,     ///< the question's own experts
    random,         ///< as many, drawn from the layers in which experts are sought
    shuffled,       ///< another question's, of the same dataset
    same_relation,  ///< another question's, of the same dataset and relation
    permuted,       ///< the question's own, identified with right and wrong permuted
    single,         ///< one of its own
};

/// A question and the experts that are deactivated when it is asked again, in all its languages.
struct ExpertSet {
    std::int32_t question = 0;
    std::vector<ExpertId> experts;  ///< ascending, one at least
};

/// Why a question is asked with a set of experts deactivated. Several conditions may share a set: under a cap that cuts
/// nothing off nothing changes.
struct AblationCondition {
    SetKind kind = SetKind::identified;
    std::int64_t cap = 0;       ///< experts of a question at most
    std::int32_t draw = 0;      ///< of a random set; of a single, its place among the candidates; else 0
    std::int32_t question = 0;  ///< that is asked
    std::int32_t source = 0;    ///< the question whose experts they are
    std::size_t set = 0;        ///< its index
};

/// A question that has experts but no other question to exchange them with.
struct Unpaired {
    SetKind kind = SetKind::shuffled;
    std::int32_t question = 0;
};

struct Conditions {
    std::vector<ExpertSet> sets;                ///< each once, by question
    std::vector<AblationCondition> conditions;  ///< by question, then by cap, kind and draw
    std::vector<Unpaired> unpaired;
};

/// What was found of a dataset.
struct DatasetExperts {
    Identification identified;
    std::optional<Identification> permuted;  ///< identify() with permute_labels(sequences): for deactivate.permuted
    std::vector<std::string> relations;      ///< of identified.questions, one by one; empty: none
    std::int64_t experts = 0;                ///< of a layer
};

/// The labels right and wrong of each question permuted among its languages: the question's labels in the order of its
/// sequences, shuffled by random.Random(seed + question + 3 x 2^40).
std::vector<Sequence> permute_labels(std::vector<Sequence> sequences, std::int64_t seed);

/// Of a dataset. A question with experts has, at identify.cap and at each cap of deactivate.caps:
/// * its own experts;
/// * deactivate.draws random sets of the same size, each random.sample(pool, size) from one random.Random(seed +
///   question); the pool are the experts of rules.layers, ascending, with or without blacklisted ones;
/// * another question's experts.
/// At identify.cap alone: another's of the same relation, those found under permuted labels (which a question without
/// experts of its own may have, too), and each of its own alone.
///
/// Questions exchange experts by a derangement, each being equally likely: they are shuffled until none is in its
/// place, by random.Random(seed + the first of them + 2^40; of a relation, + 2 x 2^40). One that has no other to
/// exchange with goes without and is listed.
Conditions conditions(const DatasetExperts& dataset, const IdentifyRules& rules,
                      const XiciConfig::Deactivate& deactivate);

}  // namespace moesweep
