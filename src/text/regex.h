// A regular expression of a tokenizer.json, compiled by PCRE2.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace moesweep::text {

/// Half-open byte range.
struct Range {
    std::size_t begin, end;
};

class Regex {
  public:
    enum class Kind { expression, literal };

    /// The reference's dialect is Oniguruma's: what means something else in PCRE2 is refused.
    /// Error(data) "where: ..." names the reason and the offset in the pattern.
    Regex(const std::string& pattern, Kind kind, const std::string& where);

    /// All matches in valid UTF-8 text, left to right, without overlap.
    std::vector<Range> find_all(std::string_view text) const;

  private:
    struct Free {
        void operator()(pcre2_real_code_8* code) const;
    };
    std::unique_ptr<pcre2_real_code_8, Free> code_;
    Kind kind_;
};

}  // namespace moesweep::text
