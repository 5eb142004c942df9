#include <fmt/ranges.h>

#include "commands.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

Exit tokenize(const CommandLine& line) {
    if (line.arguments.size() < 2) fail(Exit::usage, "tokenize: expected a model folder and at least one text");
    const Tokenizer tokenizer(line.arguments[0]);
    for (std::size_t i = 1; i < line.arguments.size(); ++i) {
        const Encoding encoding = tokenizer.encode(line.arguments[i]);
        fmt::print("{}\n", fmt::join(encoding.ids, " "));
        for (std::size_t t = 0; line.pieces && t < encoding.ids.size(); ++t)
            fmt::print("  {:>7}  [{}, {})  {}\n", encoding.ids[t], encoding.begin[t], encoding.end[t],
                       tokenizer.piece(encoding.ids[t]));
    }
    return Exit::done;
}

}  // namespace moesweep
