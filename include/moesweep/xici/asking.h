// What a run asks, in which words and tokens: RUN/questions.h5, the list of items of an XICI run.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/store/store.h"
#include "moesweep/text/stop_tokens.h"
#include "moesweep/text/tokenizer.h"
#include "moesweep/xici/questions.h"

namespace moesweep {

struct Asking {
    std::vector<Question> questions;     ///< as selected; variants in the order of `languages`
    std::vector<std::string> languages;  ///< labels in the order in which the file has them first
    std::vector<std::vector<std::vector<std::int32_t>>> prompts;  ///< token ids by question and variant
    Attributes meta;                                              ///< for /meta of the merged file

    /// The place of a variant's language in `languages`.
    std::int32_t language_of(const Variant& variant) const;
    std::int64_t sequences() const;  ///< variants of all questions
    std::int64_t longest_prompt() const;
    /// What the run noted of the model. Error(data) if it lacks it.
    std::int64_t noted(const std::string& key) const;
    std::vector<bool> is_moe() const;  ///< by decoder layer
    bool sigmoid_router() const;
};

/// Reads and selects the questions. Error(usage, data).
Asking read_asking(const XiciConfig::Questions& asked);

/// How a question becomes a prompt (ask.chat), and what ends its answer.
struct PromptForm {
    std::string name;  ///< "Qwen3-..., by its chat template", "none" or "custom"
    StopTokens stop;
    std::vector<std::string> notes;  ///< what a user should know, a line each
};
/// Fills in asking.prompts. Error(usage) where the chat form is refused, Error(data) for files of the model.
PromptForm make_prompts(const XiciConfig& config, const Tokenizer& tokenizer, Asking& asking);

/// Nothing if there is none yet. Error(data) if it is damaged or belongs to another run.
std::optional<Asking> read_asking_file(const Store& store);
void write_asking_file(const Store& store, const Asking& asking);

/// The tables of the merged file.
struct QuestionColumns {
    std::vector<std::string> id, dataset, relation;
    std::size_t size() const { return id.size(); }
};
struct LanguageColumns {
    std::vector<std::string> label;
    std::size_t size() const { return label.size(); }
};
/// A line per question and language.
struct VariantColumns {
    std::vector<std::int32_t> question, language;
    std::vector<std::string> text, reference, answers;  ///< answers: all, as a JSON list
    std::vector<std::int64_t> token_begin;              ///< (n + 1) offsets into token_ids
    std::vector<std::int32_t> token_ids;
    std::size_t size() const { return question.size(); }
};
QuestionColumns question_columns(const Asking& asking);
LanguageColumns language_columns(const Asking& asking);
VariantColumns variant_columns(const Asking& asking);

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, QuestionColumns>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"id", "", "the question's id in the file"}, t.id, 1);
    visit(ColumnInfo{"dataset", "", "the dataset that it is of"}, t.dataset, 1);
    visit(ColumnInfo{"relation", "", "its relation, empty where the file has none"}, t.relation, 1);
}
template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, LanguageColumns>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"label", "", "of a language, or of another kind of variant"}, t.label, 1);
}
template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, VariantColumns>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"question", "", "index into /questions"}, t.question, 1);
    visit(ColumnInfo{"language", "", "index into /languages"}, t.language, 1);
    visit(ColumnInfo{"text", "", "the question"}, t.text, 1);
    visit(ColumnInfo{"reference", "", "the reference answer"}, t.reference, 1);
    visit(ColumnInfo{"answers", "", "all known answers as a JSON list, the reference first"}, t.answers, 1);
    visit(ColumnInfo{"token_begin", "", "offsets into token_ids: line i has [i, i + 1)"}, t.token_begin, 1);
    visit(ColumnInfo{"token_ids", "", "the prompts' tokens, special ones included"}, t.token_ids, 1);
}

}  // namespace moesweep
