// The tables of an XICI run's units (docs/store.md): what was answered, token by token, and what was routed to.
#pragma once
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "moesweep/store/unit.h"

namespace moesweep {

/// A line per (trial, language).
struct AnswerTable {
    std::vector<std::int32_t> trial, language;
    std::vector<std::string> text;        ///< special tokens left out
    std::vector<std::int8_t> stopped;     ///< 1: by a stop token, 0: by ask.max_tokens
    std::vector<std::int32_t> tokens;     ///< of the answer, the stop token included
    std::vector<std::int64_t> disobeyed;  ///< choices of a deactivated expert
    std::size_t size() const { return trial.size(); }
    bool operator==(const AnswerTable&) const = default;
};

/// A line per token of an answer: (trial, language, place).
struct AnswerTokenTable {
    std::vector<std::int32_t> trial, language, place, token;
    std::vector<double> gap;  ///< its logit minus the next best one's
    std::size_t size() const { return trial.size(); }
    bool operator==(const AnswerTokenTable&) const = default;
};

/// A line per (trial, language) of the trials with no expert deactivated. The widths are the MoE layers x experts.
struct CaptureTable {
    std::vector<std::int32_t> trial, language;
    std::vector<std::int32_t> prompt_tokens, answer_tokens;  ///< that were fed
    std::int32_t pairs = 0;                                  ///< MoE layers x experts
    std::vector<float> prompt, answer;                       ///< (n, pairs) mean gate weight over these tokens
    std::size_t size() const { return trial.size(); }
    bool operator==(const CaptureTable&) const = default;
};

struct TrialUnit {
    static constexpr const char* item = "trial";
    ItemRange items;  ///< trials
    AnswerTable answers;
    AnswerTokenTable answer_tokens;
    CaptureTable capture;
    bool operator==(const TrialUnit&) const = default;
};

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, AnswerTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"trial", "", "index into /trials"}, t.trial, 1);
    visit(ColumnInfo{"language", "", "index into /languages"}, t.language, 1);
    visit(ColumnInfo{"text", "", "the answer without special tokens"}, t.text, 1);
    visit(ColumnInfo{"stopped", "", "1: it ended by itself, 0: by ask.max_tokens"}, t.stopped, 1);
    visit(ColumnInfo{"tokens", "token", "length of the answer, with the token that ended it"}, t.tokens, 1);
    visit(ColumnInfo{"disobeyed", "",
                     "choices of a deactivated expert, over layers and tokens (in the last layer, of the prompt's the "
                     "last one)"},
          t.disobeyed, 1);
}
template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, AnswerTokenTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"trial", "", "index into /trials"}, t.trial, 1);
    visit(ColumnInfo{"language", "", "index into /languages"}, t.language, 1);
    visit(ColumnInfo{"place", "token", "in the answer, from 0"}, t.place, 1);
    visit(ColumnInfo{"token", "", "token id"}, t.token, 1);
    visit(ColumnInfo{"gap", "logit", "its logit minus the next best token's: how near the choice was"}, t.gap, 1);
}
template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, CaptureTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"trial", "", "index into /trials"}, t.trial, 1);
    visit(ColumnInfo{"language", "", "index into /languages"}, t.language, 1);
    visit(ColumnInfo{"prompt_tokens", "token", "tokens of the prompt, special ones included"}, t.prompt_tokens, 1);
    visit(ColumnInfo{"answer_tokens", "token", "tokens of the answer that were fed: all but the last"}, t.answer_tokens,
          1);
    visit(ColumnInfo{.name = "prompt",
                     .unit = "",
                     .meaning = "mean gate weight of every expert of every MoE layer over the prompt's tokens, 0 where "
                                "it is not routed to (eq. 1)",
                     .matrix = true},
          t.prompt, t.pairs);
    visit(ColumnInfo{.name = "answer",
                     .unit = "",
                     .meaning = "the same over the answer's tokens; 0 where none was fed",
                     .matrix = true},
          t.answer, t.pairs);
}

inline auto key(const AnswerTable& t, std::size_t i) {
    return std::tuple(t.trial[i], t.language[i]);
}
inline auto key(const AnswerTokenTable& t, std::size_t i) {
    return std::tuple(t.trial[i], t.language[i], t.place[i]);
}
inline auto key(const CaptureTable& t, std::size_t i) {
    return std::tuple(t.trial[i], t.language[i]);
}

template <class U, class Visit>
requires std::is_same_v<std::remove_const_t<U>, TrialUnit>
void tables(U& unit, Visit&& visit) {
    visit("answers", unit.answers);
    visit("answer_tokens", unit.answer_tokens);
    visit("capture", unit.capture);
}

}  // namespace moesweep
