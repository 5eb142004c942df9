// Answers go out to be rated by whoever can, and ratings come in, both as JSON lines (rate.by = file).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace moesweep {

/// What somebody is to rate. (id, language, condition) is its name.
struct AnswerToRate {
    std::string id;         ///< of the question
    std::string language;   ///< the variant's label
    std::string condition;  ///< under which it was asked: "asked", "xici", "random 0", ...
    std::string question;
    std::vector<std::string> known;  ///< known answers, the reference first: one at least
    std::string answer;              ///< valid UTF-8
};

/// Writes a line {"id", "language", "condition", "question", "reference", "answers", "answer"} for each; "answers" are
/// the known ones. Error(io) names the file.
void write_answers(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers);

struct Ratings {
    std::vector<bool> right;            ///< of each answer
    std::int64_t other_conditions = 0;  ///< ratings passed over, of conditions that no answer has
};

/// Reads lines {"id", "language", "condition", "right"}, one for each of these answers in any order, "right" being true
/// or false. "condition" may be missing where all answers have the same. Other fields are ignored, except "answer":
/// where it is there, it must be the answer that is rated, or else the ratings belong to another run. Error(data) names
/// the file, the line and the field that is missing or wrong, a repeated rating, or an id or language that no answer
/// has; or it says how many answers have no rating and names the first.
Ratings read_ratings(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers);

/// Whether such a file rates any of these answers, by their conditions. Error(data) where it is no JSON lines.
bool rates_any(const std::filesystem::path& path, const std::vector<AnswerToRate>& answers);

}  // namespace moesweep
