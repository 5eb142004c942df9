#include <fmt/ranges.h>

#include "commands.h"
#include "moesweep/base/json.h"
#include "moesweep/text/chat_template.h"
#include "moesweep/text/tokenizer.h"
#include "moesweep/xici/keys.h"

namespace moesweep {
namespace {

void print_tokens(const Tokenizer& tokenizer, const std::string& text, bool pieces) {
    const Encoding encoding = tokenizer.encode(text);
    fmt::print("{}\n", fmt::join(encoding.ids, " "));
    for (std::size_t t = 0; pieces && t < encoding.ids.size(); ++t)
        fmt::print("  {:>7}  [{}, {})  {}\n", encoding.ids[t], encoding.begin[t], encoding.end[t],
                   tokenizer.piece(encoding.ids[t]));
}

}  // namespace

Exit tokenize(const CommandLine& line) {
    if (line.arguments.size() < 2) fail(Exit::usage, "tokenize: expected a model folder and at least one text");
    const Tokenizer tokenizer(line.arguments[0]);
    const std::vector<std::string> texts(line.arguments.begin() + 1, line.arguments.end());
    if (!line.chat) {
        for (const std::string& text : texts) print_tokens(tokenizer, text, line.pieces);
        return Exit::done;
    }
    const ChatTemplate chat = find_chat_template(line.arguments[0]);
    if (!chat.note.empty()) fmt::print(stderr, "moesweep: {}\n", chat.note);
    for (const std::string& text : texts) {
        const std::string prompt = chat_prompt(chat.form, XiciConfig().ask.system, text);
        fmt::print("{}\n", Json(prompt).dump());
        print_tokens(tokenizer, prompt, line.pieces);
    }
    return Exit::done;
}

}  // namespace moesweep
