// Cases: a fact as one prompt with subject span, true id and foil id, or the reason why it is not usable; which study a
// case belongs to, and to which half of it.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "moesweep/text/tokenizer.h"
#include "moesweep/tracing/facts.h"
#include "moesweep/tracing/keys.h"

namespace moesweep {

enum class Status : std::int8_t {
    usable = 0,
    true_not_single_token = 1,
    foil_not_single_token = 2,
    same_token = 3,         ///< true and foil are one token: no contrast
    subject_not_found = 4,  ///< no token overlaps the subject
    clean_margin_too_small = 5,
    noise_drop_too_small = 6,
};
inline constexpr const char* status_names[] = {"usable",
                                               "true_not_single_token",
                                               "foil_not_single_token",
                                               "same_token",
                                               "subject_not_found",
                                               "clean_margin_too_small",
                                               "noise_drop_too_small"};

enum class Split : std::int8_t { none = 0, discovery = 1, validation = 2 };
inline constexpr const char* split_names[] = {"none", "discovery", "validation"};

/// A scanned record. Fields below `status` hold what was known when it was decided.
struct Case {
    std::int32_t record = 0;  ///< index in the facts file
    Fact fact;
    Status status = Status::usable;
    Split split = Split::none;
    Split relaxed_split = Split::none;                ///< of the relaxed study (scale_up.*)
    std::vector<std::int32_t> tokens;                 ///< T ids, BOS included
    std::int32_t subject_begin = 0, subject_end = 0;  ///< half-open token span
    std::int32_t true_id = -1, foil_id = -1;
    double delta_clean = 0, delta_noised = 0;  ///< logit(true) - logit(foil) at the last token; 0 where no run was made
};

/// Tokenizes a fact by model.bos and cases.object_token. Never a model: the margins are judged later. A token
/// belongs to the subject if its characters overlap the subject's. Errors as bos_token.
Case make_case(const Tokenizer& tokenizer, const TracingConfig& config, const Fact& fact, std::int32_t record);

/// Judges the two deltas of a case that still is `usable` by cases.clean_margin and cases.noise_drop; NaN passes
/// neither.
Status judge_margins(const TracingConfig::Cases& rules, double delta_clean, double delta_noised);

/// The study of the paper takes the first cases.limit usable cases (0 = all) in scan order, the relaxed one the first
/// scale_up.limit that pass its filters (none if the limit is 0). Both as indices into `cases`.
std::vector<std::int32_t> study_cases(const TracingConfig& config, const std::vector<Case>& cases);
std::vector<std::int32_t> relaxed_cases(const TracingConfig& config, const std::vector<Case>& cases);

/// The order in which a study is split: a fresh random.Random(seed).shuffle of its cases.
std::vector<std::int32_t> split_order(std::vector<std::int32_t> members, std::int64_t seed);

/// Sets split and relaxed_split, from which on they say to which study a case belongs: the first cases.discovery
/// (scale_up.discovery) of the split order by cases.seed are discovery, the others of the study validation.
void split_cases(const TracingConfig& config, std::vector<Case>& cases);

/// The cases of a study, and those of either, which are swept: indices, ascending. After split_cases().
std::vector<std::int32_t> cases_with(const std::vector<Case>& cases, Split Case::*split);
std::vector<std::int32_t> swept_cases(const std::vector<Case>& cases);

}  // namespace moesweep
