// From answers to experts: which answers are right, which experts weigh more where they are, and what is deactivated to
// see whether these matter. Follows from the finished units alone, so that other rules take seconds.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/xici/ask.h"
#include "moesweep/xici/conditions.h"
#include "moesweep/xici/rating_file.h"

namespace moesweep {

/// The answers of a series in the order of /answers, and whether each is right.
struct RatedAnswers {
    std::vector<std::int32_t> trial, language;
    std::vector<std::string> text;
    std::vector<std::int64_t> disobeyed;
    std::vector<bool> right;
    std::int64_t unparsable = 0;      ///< what a rating model said that is neither yes nor no: taken for no
    std::vector<bool> right_exactly;  ///< by rate.by = exact, where another rater rated; else empty
    std::size_t size() const { return trial.size(); }
};

/// Whether a language's answers are left out of the contrast, by identify.languages.
bool is_held_out(const XiciConfig::Identify& identify, const Asking& asking, std::int32_t language);

/// Where answers go out to be rated: RUN/answers.jsonl, and RUN/answers-deactivated-DIGEST.jsonl of the second series.
std::filesystem::path file_to_rate(const TrialSeries& series);

/// Rates by rate.by. With rate.by = file, file_to_rate() is written first, if it is not there; nothing where rate.file
/// is empty, or rates none of the second series: then somebody is to rate these. One file of ratings serves both
/// series. Error(data) for ratings that do not fit.
std::optional<RatedAnswers> rate_series(const XiciConfig& config, const Asking& asking, const TrialSeries& series);

/// What was found of one dataset.
struct DatasetContrast {
    std::string name;
    Identification identified;
    Conditions conditions;  ///< their sets are numbered from `first_set` on among all
    std::size_t first_set = 0;
};

struct Contrast {
    IdentifyRules rules;
    std::vector<DatasetContrast> datasets;  ///< in the order in which the questions have them first

    std::vector<ExpertSet> sets() const;  ///< of all datasets
};

/// Identifies the experts of every question from the captures of the first series.
Contrast find_contrast(const XiciConfig& config, const Asking& asking, const TrialSeries& asked,
                       const RatedAnswers& rated);

}  // namespace moesweep
