#include "moesweep/tracing/cases.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "moesweep/stats/python_random.h"
#include "moesweep/text/bos.h"

namespace moesweep {
namespace {

std::optional<std::int32_t> object_token(const Tokenizer& tokenizer, ObjectToken rule, const std::string& text) {
    if (rule == ObjectToken::bare_or_space)
        if (const auto bare = tokenizer.single_token_bare(text)) return bare;
    return tokenizer.single_token_after_space(text);
}

/// Marks the tokens whose characters overlap the subject's; none where begin == end.
void find_subject(Case& item, const Encoding& encoding) {
    const std::int32_t first = item.fact.subject_offset, last = first + code_points(item.fact.subject);
    for (std::size_t t = 0; t < encoding.ids.size(); t++) {
        if (std::max(encoding.begin[t], first) >= std::min(encoding.end[t], last)) continue;
        const auto token = static_cast<std::int32_t>(t);
        if (item.subject_begin == item.subject_end) item.subject_begin = token;
        item.subject_end = token + 1;
    }
}

/// Indices of the first `limit` cases (0 = all) that pass.
template <class Passes>
std::vector<std::int32_t> first_of(const std::vector<Case>& cases, std::int64_t limit, Passes passes) {
    std::vector<std::int32_t> members;
    for (std::size_t i = 0; i < cases.size(); i++) {
        if (limit > 0 && static_cast<std::int64_t>(members.size()) == limit) break;
        if (passes(cases[i])) members.push_back(static_cast<std::int32_t>(i));
    }
    return members;
}

}  // namespace

Case make_case(const Tokenizer& tokenizer, const TracingConfig& config, const Fact& fact, std::int32_t record) {
    Case item{.record = record, .fact = fact};
    const Encoding encoding = tokenizer.encode(fact.prompt);
    item.tokens = encoding.ids;
    find_subject(item, encoding);
    const bool has_subject = item.subject_begin < item.subject_end;
    if (const auto bos = bos_token(tokenizer, config.model.bos)) {
        item.tokens.insert(item.tokens.begin(), *bos);
        item.subject_begin += has_subject;
        item.subject_end += has_subject;
    }
    const auto true_id = object_token(tokenizer, config.cases.object_token, fact.true_text);
    const auto foil_id = object_token(tokenizer, config.cases.object_token, fact.foil_text);
    item.true_id = true_id.value_or(-1);
    item.foil_id = foil_id.value_or(-1);
    if (!true_id)
        item.status = Status::true_not_single_token;
    else if (!foil_id)
        item.status = Status::foil_not_single_token;
    else if (true_id == foil_id)
        item.status = Status::same_token;
    else if (!has_subject)
        item.status = Status::subject_not_found;
    return item;
}

Status judge_margins(const TracingConfig::Cases& rules, double delta_clean, double delta_noised) {
    // Written so that a NaN is refused. A filter at -inf is off: every number passes it.
    if (!(delta_clean >= rules.clean_margin)) return Status::clean_margin_too_small;
    if (!(delta_clean - delta_noised >= rules.noise_drop)) return Status::noise_drop_too_small;
    return Status::usable;
}

std::vector<std::int32_t> study_cases(const TracingConfig& config, const std::vector<Case>& cases) {
    return first_of(cases, config.cases.limit, [](const Case& c) { return c.status == Status::usable; });
}

std::vector<std::int32_t> relaxed_cases(const TracingConfig& config, const std::vector<Case>& cases) {
    if (config.scale_up.limit == 0) return {};
    TracingConfig::Cases rules = config.cases;
    rules.clean_margin = config.scale_up.clean_margin;
    rules.noise_drop = config.scale_up.noise_drop;
    return first_of(cases, config.scale_up.limit, [&](const Case& c) {
        const bool was_run = c.status == Status::usable || c.status == Status::clean_margin_too_small ||
                             c.status == Status::noise_drop_too_small;
        return was_run && judge_margins(rules, c.delta_clean, c.delta_noised) == Status::usable;
    });
}

std::vector<std::int32_t> split_order(std::vector<std::int32_t> members, std::int64_t seed) {
    PythonRandom(seed).shuffle(members);
    return members;
}

void split_cases(const TracingConfig& config, std::vector<Case>& cases) {
    const auto split = [&](const std::vector<std::int32_t>& members, std::int64_t discovery, Split Case::*field) {
        for (Case& item : cases) item.*field = Split::none;
        const auto order = split_order(members, config.cases.seed);
        for (std::size_t i = 0; i < order.size(); i++)
            cases[static_cast<std::size_t>(order[i])].*field =
                static_cast<std::int64_t>(i) < discovery ? Split::discovery : Split::validation;
    };
    split(study_cases(config, cases), config.cases.discovery, &Case::split);
    split(relaxed_cases(config, cases), config.scale_up.discovery, &Case::relaxed_split);
}

std::vector<std::int32_t> cases_with(const std::vector<Case>& cases, Split Case::*split) {
    return first_of(cases, 0, [&](const Case& c) { return c.*split != Split::none; });
}

std::vector<std::int32_t> swept_cases(const std::vector<Case>& cases) {
    return first_of(cases, 0, [](const Case& c) { return c.split != Split::none || c.relaxed_split != Split::none; });
}

}  // namespace moesweep
