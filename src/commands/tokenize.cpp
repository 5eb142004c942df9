#include <fmt/ranges.h>

#include "commands.h"
#include "moesweep/tracing/cases.h"

namespace moesweep {

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

void tokenize(const CommandLine& line) {
    if (line.arguments.size() < 2) fail(Exit::usage, "tokenize: expected a model folder and at least one text");
    const Tokenizer tokenizer(line.arguments[0]);
    for (std::size_t i = 1; i < line.arguments.size(); ++i) {
        const Encoding encoding = tokenizer.encode(line.arguments[i]);
        fmt::print("{}\n", fmt::join(encoding.ids, " "));
        for (std::size_t t = 0; line.pieces && t < encoding.ids.size(); ++t)
            fmt::print("  {:>7}  [{}, {})  {}\n", encoding.ids[t], encoding.begin[t], encoding.end[t],
                       tokenizer.piece(encoding.ids[t]));
    }
}

}  // namespace moesweep
