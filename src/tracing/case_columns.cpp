#include "case_columns.h"

#include <utility>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// Every column has a line per case, and the token spans lie where they should.
void expect_consistent(const CaseColumns& c, const std::string& file) {
    const auto refuse = [&]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
        fail(Exit::data, "{}: cases: {}", file, fmt::format(format, std::forward<Args>(args)...));
    };
    const std::size_t n = c.case_id.size();
    columns(c, [&](const ColumnInfo& info, const auto& column, int) {
        const bool by_token = std::string_view(info.name).starts_with("token_");  // these two have lengths of their own
        if (!by_token && column.size() != n) refuse("{}: {} lines, expected {}", info.name, column.size(), n);
    });
    if (c.token_begin.size() != n + 1) refuse("token_begin: {} lines, expected {}", c.token_begin.size(), n + 1);
    if (c.token_begin[0] != 0) refuse("token_begin: begins with {}, expected 0", c.token_begin[0]);
    for (std::size_t i = 0; i < n; ++i) {
        if (c.token_begin[i + 1] < c.token_begin[i])
            refuse("token_begin: line {}: {} is less than {} before it", i + 1, c.token_begin[i + 1], c.token_begin[i]);
        const std::int64_t tokens = c.token_begin[i + 1] - c.token_begin[i];
        if (c.subject_begin[i] < 0 || c.subject_end[i] < c.subject_begin[i] || c.subject_end[i] > tokens)
            refuse("subject_begin, subject_end: line {}: [{}, {}) is no span of {} tokens", i, c.subject_begin[i],
                   c.subject_end[i], tokens);
    }
    if (c.token_begin[n] != static_cast<std::int64_t>(c.token_ids.size()))
        refuse("token_ids: {} tokens, expected {}", c.token_ids.size(), c.token_begin[n]);
}

}  // namespace

CaseColumns to_columns(const std::vector<Case>& cases) {
    CaseColumns c;
    c.token_begin.push_back(0);
    for (const Case& one : cases) {
        c.case_id.push_back(one.fact.case_id);
        c.record.push_back(one.record);
        c.relation.push_back(one.fact.relation);
        c.subject.push_back(one.fact.subject);
        c.prompt.push_back(one.fact.prompt);
        c.true_text.push_back(one.fact.true_text);
        c.foil_text.push_back(one.fact.foil_text);
        c.status.push_back(one.status);
        c.split.push_back(one.split);
        c.relaxed_split.push_back(one.relaxed_split);
        c.token_ids.insert(c.token_ids.end(), one.tokens.begin(), one.tokens.end());
        c.token_begin.push_back(static_cast<std::int64_t>(c.token_ids.size()));
        c.subject_begin.push_back(one.subject_begin);
        c.subject_end.push_back(one.subject_end);
        c.true_id.push_back(one.true_id);
        c.foil_id.push_back(one.foil_id);
        c.delta_clean.push_back(one.delta_clean);
        c.delta_noised.push_back(one.delta_noised);
    }
    return c;
}

std::vector<Case> to_cases(CaseColumns c, const std::string& file) {
    expect_consistent(c, file);
    std::vector<Case> cases(c.case_id.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
        Case& one = cases[i];
        one.record = c.record[i];
        one.fact = {c.case_id[i],           std::move(c.relation[i]),  std::move(c.subject[i]),
                    std::move(c.prompt[i]), std::move(c.true_text[i]), std::move(c.foil_text[i])};
        one.status = c.status[i];
        one.split = c.split[i];
        one.relaxed_split = c.relaxed_split[i];
        one.tokens.assign(c.token_ids.begin() + c.token_begin[i], c.token_ids.begin() + c.token_begin[i + 1]);
        one.subject_begin = c.subject_begin[i];
        one.subject_end = c.subject_end[i];
        one.true_id = c.true_id[i];
        one.foil_id = c.foil_id[i];
        one.delta_clean = c.delta_clean[i];
        one.delta_noised = c.delta_noised[i];
    }
    return cases;
}

}  // namespace moesweep
