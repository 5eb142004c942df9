// Test tool: text_probe MODEL_FOLDER < questions in JSON, one a line > answers in JSON, one a line:
//   "text"                                                  {"ids": [], "begin": [], "end": []}
//   {"ids": [], "skip_special": false}                      {"text": ""}
//   {"messages": [], "generate": true, "thinking": false}   {"text": ""} by the folder's chat template
//   {"stop": true}                                          {"ids": [], "note": ""}
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "moesweep/base/json.h"
#include "moesweep/text/chat_template.h"
#include "moesweep/text/stop_tokens.h"
#include "moesweep/text/tokenizer.h"

namespace {

using namespace moesweep;

std::vector<Message> messages_of(const Json& json) {
    std::vector<Message> messages;
    for (const Json& message : json) {
        const std::string role = message.at("role");
        messages.push_back({role == "system" ? Role::system
                            : role == "user" ? Role::user
                                             : Role::assistant,
                            message.at("content")});
    }
    return messages;
}

Json answer_to(const Json& question, const std::string& folder, const Tokenizer& tokenizer) {
    if (question.is_string()) {
        const auto encoding = tokenizer.encode(question.get<std::string>());
        return {{"ids", encoding.ids}, {"begin", encoding.begin}, {"end", encoding.end}};
    }
    if (question.contains("ids")) {
        const auto ids = question["ids"].get<std::vector<std::int32_t>>();
        return {{"text", tokenizer.decode(ids, question.at("skip_special").get<bool>())}};
    }
    if (question.contains("messages"))
        return {{"text", render(find_chat_template(folder).form, messages_of(question["messages"]),
                                question.at("generate").get<bool>(), question.at("thinking").get<bool>())}};
    const StopTokens stop = stop_tokens(folder, tokenizer);
    return {{"ids", stop.ids}, {"note", stop.note}};
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 2) fail(Exit::usage, "usage: text_probe MODEL_FOLDER < lines");
    const Tokenizer tokenizer(argv[1]);
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);)
        std::cout << answer_to(parse_json(line, "stdin"), argv[1], tokenizer) << '\n';
    return 0;
} catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(Exit::internal);
}
