#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"

#include <pcre2.h>

#include "aligned_text.h"
#include "moesweep/base/error.h"
#include "unicode.h"

namespace moesweep::text {
namespace {

std::string reason(int error) {
    PCRE2_UCHAR buffer[160];
    pcre2_get_error_message(error, buffer, sizeof buffer);
    return reinterpret_cast<const char*>(buffer);
}

}  // namespace

void Regex::Free::operator()(pcre2_real_code_8* code) const {
    pcre2_code_free(code);
}

Regex::Regex(const std::string& pattern, Kind kind, const std::string& where) : kind_(kind) {
    if (kind == Kind::expression)
        for (const char* other : {"\\h", "\\H", "&&", "(?m"})
            if (pattern.find(other) != std::string::npos)
                fail(Exit::data,
                     "{}: '{}' in a pattern is not supported (its meaning differs between Oniguruma and PCRE2)", where,
                     other);
    int error = 0;
    PCRE2_SIZE offset = 0;
    // In Oniguruma's dialect ^ and $ match at every line, hence MULTILINE. PCRE2's \C matches a part of a character.
    const std::uint32_t options = kind == Kind::literal
                                      ? PCRE2_UTF | PCRE2_LITERAL
                                      : PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    code_.reset(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &offset, nullptr));
    if (!code_) fail(Exit::data, "{}: pattern does not compile at byte {}: {}", where, offset, reason(error));
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without a JIT, pcre2_match interprets
}

std::vector<Range> Regex::find_all(std::string_view text) const {
    const std::string subject = kind_ == Kind::literal ? std::string(text) : as_pcre2_knows_it(text);
    struct FreeMatch {
        void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
    };
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(
        pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    std::vector<Range> matches;
    for (std::size_t at = 0; at < subject.size();) {
        const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), at,
                                      PCRE2_NO_UTF_CHECK, match.get(), nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) fail(Exit::data, "text to tokenize: the pre-tokenizer's pattern failed: {}", reason(found));
        if (range[0] < at || range[1] < range[0])  // \K in a group that a lookaround calls
            fail(Exit::data, "text to tokenize: a match of the pre-tokenizer's pattern begins outside itself");
        matches.push_back({range[0], range[1]});
        at = range[1];
        if (range[0] == range[1] && at < subject.size()) next_character(subject, at);  // an empty match must not repeat
    }
    return matches;
}

}  // namespace moesweep::text
