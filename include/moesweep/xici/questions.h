// Questions that are asked in several languages, from JSON lines.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "moesweep/xici/keys.h"

namespace moesweep {

/// A question in one language.
struct Variant {
    std::string language;  ///< a code (`de`, `eng_Latn`) or any other label, such as that of a paraphrase
    std::string question;
    std::vector<std::string> answers;  ///< the reference and its aliases: one at least, each with a word in it
};

struct Question {
    std::string id;  ///< of this question alone in the file, whatever the dataset
    std::string dataset;
    std::string relation;           ///< empty where the file has none
    std::vector<Variant> variants;  ///< one at least, in the order of the file; one to a language
};

/// Reads a file of lines {"id": ..., "dataset": ..., "relation": ..., "languages": {LABEL: {"question": ..., "answers":
/// [...]}, ...}}. An id may be a whole number, and is its digits then; a relation may be null or missing; other fields
/// are ignored. Error(data) names the file, the line (number and id) and the field that is missing, empty, of the wrong
/// type or has a zero byte, an answer without any letter, digit or symbol, a repeated id; JSON broken at a byte by that
/// byte; a file without questions.
std::vector<Question> read_questions(const std::filesystem::path& path);

/// The questions of questions.datasets, with their variants in questions.languages (empty: all); of those that have
/// one, the first questions.limit of each dataset. Error(usage) for a dataset or language that none of them has.
std::vector<Question> select_questions(std::vector<Question> questions, const XiciConfig::Questions& asked);

}  // namespace moesweep
