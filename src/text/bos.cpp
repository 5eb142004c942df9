#include "moesweep/text/bos.h"

#include <fmt/format.h>

#include "moesweep/base/error.h"

namespace moesweep {

std::optional<std::int32_t> bos_token(const Tokenizer& tokenizer, Bos setting) {
    if (setting == Bos::no) return std::nullopt;
    if (setting == Bos::automatic) return tokenizer.default_bos();
    const auto token = tokenizer.bos();
    if (!token) fail(Exit::data, "tokenizer.json: bos_token: expected one, because model.bos = yes, got none");
    return token;
}

std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, std::string_view text, Bos setting) {
    std::vector<std::int32_t> ids = tokenizer.encode(text).ids;
    const auto bos = bos_token(tokenizer, setting);
    if (bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
    return ids;
}

std::vector<std::string> bos_lines(const Tokenizer& tokenizer, Bos setting) {
    const auto bos = bos_token(tokenizer, setting);
    const char* by = setting == Bos::automatic ? "by tokenizer.json"
                     : setting == Bos::yes     ? "model.bos = yes"
                                               : "model.bos = no";
    std::vector<std::string> lines = {
        fmt::format("{} ({})", bos ? fmt::format("{} '{}'", *bos, tokenizer.piece(*bos)) : "none", by)};
    if (const auto dispute = tokenizer.bos_dispute(); setting == Bos::automatic && !dispute.empty())
        lines.push_back(dispute);
    return lines;
}

}  // namespace moesweep
