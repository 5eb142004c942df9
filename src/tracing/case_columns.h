// /cases as columns: a line per scanned record, in scan order.
#pragma once
#include <cstdint>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

#include "moesweep/store/table.h"
#include "moesweep/tracing/cases.h"

namespace moesweep {

struct CaseColumns {
    std::vector<std::int64_t> case_id;
    std::vector<std::int32_t> record;
    std::vector<std::string> relation, subject, prompt, true_text, foil_text;
    std::vector<Status> status;
    std::vector<Split> split, relaxed_split;
    std::vector<std::int64_t> token_begin;  ///< (n + 1) offsets into token_ids
    std::vector<std::int32_t> token_ids;
    std::vector<std::int32_t> subject_begin, subject_end, true_id, foil_id;
    std::vector<double> delta_clean, delta_noised;
};

CaseColumns to_columns(const std::vector<Case>& cases);
/// The cases of columns that were read from `file`. Error(data) if their lengths or token spans do not fit together.
std::vector<Case> to_cases(CaseColumns columns, const std::string& file);

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, CaseColumns>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"case_id", "", "the record's id in the facts file"}, t.case_id, 1);
    visit(ColumnInfo{"record", "", "the record's index in the facts file, from 0"}, t.record, 1);
    visit(ColumnInfo{"relation", "", "the relation's id"}, t.relation, 1);
    visit(ColumnInfo{"subject", "", "the subject as it stands in the prompt"}, t.subject, 1);
    visit(ColumnInfo{"prompt", "", "the prompt with its subject"}, t.prompt, 1);
    visit(ColumnInfo{"true_text", "", "the true object"}, t.true_text, 1);
    visit(ColumnInfo{"foil_text", "", "the object it is contrasted with"}, t.foil_text, 1);
    visit(ColumnInfo{"status", "", "usable, or why not", status_names, std::size(status_names)}, t.status, 1);
    visit(ColumnInfo{"split", "", "half of the study, for usable cases", split_names, std::size(split_names)}, t.split,
          1);
    visit(ColumnInfo{"relaxed_split", "", "half of the relaxed study, for its cases", split_names,
                     std::size(split_names)},
          t.relaxed_split, 1);
    visit(ColumnInfo{"token_begin", "", "offsets into token_ids: case i has [i, i + 1)"}, t.token_begin, 1);
    visit(ColumnInfo{"token_ids", "", "the prompts' tokens, BOS included"}, t.token_ids, 1);
    visit(ColumnInfo{"subject_begin", "token", "first token of the subject, from 0"}, t.subject_begin, 1);
    visit(ColumnInfo{"subject_end", "token", "one past the subject's last token"}, t.subject_end, 1);
    visit(ColumnInfo{"true_id", "", "token id of the true object, -1 where unknown"}, t.true_id, 1);
    visit(ColumnInfo{"foil_id", "", "token id of the foil, -1 where unknown"}, t.foil_id, 1);
    visit(ColumnInfo{"delta_clean", "logit", "logit(true) - logit(foil) of the clean run, 0 where none was made"},
          t.delta_clean, 1);
    visit(ColumnInfo{"delta_noised", "logit", "logit(true) - logit(foil) of the noised run, 0 where none was made"},
          t.delta_noised, 1);
}

}  // namespace moesweep
