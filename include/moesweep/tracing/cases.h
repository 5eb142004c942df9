// Facts, and the cases they become: one prompt with subject span, true id and foil id, or the reason why it is none.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

/// One CounterFact record (ROME layout).
struct Fact {
    std::int64_t case_id = 0;  ///< within +-2^62, so that a seed can be added
    std::string relation;      ///< relation_id, empty where the file has null
    std::string subject;
    std::string prompt;                ///< with the subject filled in
    std::string true_text, foil_text;  ///< target_true and target_new, without blanks around them
    std::int32_t subject_offset = 0;   ///< where the subject begins in the prompt, in code points
};

/// The number of Unicode code points of a valid UTF-8 text.
std::int32_t code_points(std::string_view text);

/// Reads CounterFact's JSON. Error(data) names the file, the record (index and case_id) and the field that is missing,
/// empty, of the wrong type, or a prompt without exactly one "{}"; also a repeated case_id and a file without records;
/// JSON broken at a byte by that byte.
std::vector<Fact> read_facts(const std::filesystem::path& path);

/// The order in which records are scanned: random.Random(seed).shuffle(list(range(n))).
std::vector<std::size_t> scan_order(std::size_t n, std::int64_t seed);

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

/// The token that prompts begin with under model.bos, if any. Error(data) for bos = yes without any BOS token.
std::optional<std::int32_t> bos_token(const Tokenizer& tokenizer, Bos setting);

/// Tokenizes a fact by the rules of `config` (object_token, bos). Never a model: the margins are judged later. A token
/// belongs to the subject if its characters overlap the subject's. Errors as bos_token.
Case make_case(const Tokenizer& tokenizer, const Config& config, const Fact& fact, std::int32_t record);

/// Judges the two deltas of a case that still is `usable` by cases.clean_margin and cases.noise_drop; NaN passes
/// neither.
Status judge_margins(const Config::Cases& rules, double delta_clean, double delta_noised);

/// The cases of the study: the first cases.limit usable ones (0 = all), as indices into `cases` (scan order).
std::vector<std::int32_t> study_cases(const Config& config, const std::vector<Case>& cases);

/// The cases of the relaxed study: the first scale_up.limit that pass its filters; none if the limit is 0.
std::vector<std::int32_t> relaxed_cases(const Config& config, const std::vector<Case>& cases);

/// The cases that are swept: those of either study, ascending.
std::vector<std::int32_t> swept_cases(const Config& config, const std::vector<Case>& cases);

/// The order in which a study is split: a fresh random.Random(seed).shuffle of its cases.
std::vector<std::int32_t> split_order(std::vector<std::int32_t> members, std::int64_t seed);

/// Sets split and relaxed_split: the first cases.discovery (scale_up.discovery) of the split order by cases.seed are
/// discovery, the others of the study validation.
void split_cases(const Config& config, std::vector<Case>& cases);

}  // namespace moesweep
