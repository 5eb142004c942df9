#include "moesweep/text/chat_form.h"

#include <algorithm>

#include "aligned_text.h"
#include "moesweep/base/error.h"
#include "unicode.h"

namespace moesweep {
namespace {

using Messages = std::span<const Message>;

// --- Python's strings ---

std::string_view lstrip(std::string_view text, char character) {
    return text.substr(std::min(text.find_first_not_of(character), text.size()));
}
std::string_view rstrip(std::string_view text, char character) {
    return text.substr(0, text.find_last_not_of(character) + 1);
}

/// str.strip(): its white space is Unicode's and the four separators of ASCII.
std::string_view strip(std::string_view text) {
    std::size_t begin = text.size(), end = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t character = text::next_character(text, at);
        if (text::is_space(character) || (character >= 0x1c && character <= 0x1f)) continue;
        begin = std::min(begin, start);
        end = at;
    }
    return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::string_view before_first(std::string_view text, std::string_view mark) {
    return text.substr(0, text.find(mark));
}
std::string_view behind_last(std::string_view text, std::string_view mark) {
    const std::size_t at = text.rfind(mark);
    return at == text.npos ? text : text.substr(at + mark.size());
}

// --- what the templates share ---

std::string_view name(Role role) {
    return role == Role::system ? "system" : role == Role::user ? "user" : "assistant";
}

/// An assistant's message taken apart at </think>.
struct Answer {
    std::string_view thought, text;
};

Answer answer_of(std::string_view content) {
    if (content.find("</think>") == content.npos) return {"", content};
    const std::string_view thought = rstrip(before_first(content, "</think>"), '\n');
    return {lstrip(behind_last(thought, "<think>"), '\n'), lstrip(behind_last(content, "</think>"), '\n')};
}

/// Index of the last message of the user that is no tool's response, -1 if there is none.
std::ptrdiff_t last_question(Messages messages) {
    const auto is_question = [](const Message& message) {
        const std::string_view content = message.content;
        return message.role == Role::user &&
               !(content.starts_with("<tool_response>") && content.ends_with("</tool_response>"));
    };
    const auto last = std::find_if(messages.rbegin(), messages.rend(), is_question);
    return messages.rend() - last - 1;
}

void append_turn(std::string& text, Role role, std::string_view content) {
    text.append("<|im_start|>").append(name(role)).append("\n").append(content).append("<|im_end|>\n");
}

constexpr const char* answer_begins = "<|im_start|>assistant\n";
constexpr const char* without_thought = "<think>\n\n</think>\n\n";

[[noreturn]] void refuse(const char* model, const char* why) {
    fail(Exit::data, "chat template of {}: {}", model, why);
}

// --- the templates ---

std::string qwen3_instruct(Messages messages, bool generate) {
    std::string text;
    for (const auto& [role, content] : messages) append_turn(text, role, content);
    return text + (generate ? answer_begins : "");
}

std::string qwen3(Messages messages, bool generate, bool thinking) {
    const auto last = static_cast<std::ptrdiff_t>(messages.size()) - 1, question = last_question(messages);
    std::string text;
    for (std::ptrdiff_t i = 0; i <= last; ++i) {
        const auto& [role, content] = messages[i];
        const auto [thought, answer] = role == Role::assistant ? answer_of(content) : Answer{"", content};
        if (role == Role::assistant && question >= 0 && i > question && (i == last || !thought.empty()))
            append_turn(
                text, role,
                fmt::format("<think>\n{}\n</think>\n\n{}", lstrip(rstrip(thought, '\n'), '\n'), lstrip(answer, '\n')));
        else
            append_turn(text, role, answer);
    }
    if (generate) text.append(answer_begins).append(thinking ? "" : without_thought);
    return text;
}

std::string qwen3_6(Messages messages, bool generate, bool thinking) {
    std::vector<Message> stripped;
    for (const auto& [role, content] : messages) stripped.push_back({role, std::string(strip(content))});
    const std::ptrdiff_t question = last_question(stripped);
    if (question < 0) refuse("Qwen3.6", "expected a question of the user, got none");
    std::string text;
    for (std::ptrdiff_t i = 0; i < std::ssize(stripped); ++i) {
        const auto& [role, content] = stripped[i];
        if (role == Role::system && i > 0) refuse("Qwen3.6", "expected the system text first, got it later");
        const auto [thought, answer] = role == Role::assistant ? answer_of(content) : Answer{"", content};
        if (role == Role::assistant && i > question)
            append_turn(text, role, fmt::format("<think>\n{}\n</think>\n\n{}", strip(thought), answer));
        else
            append_turn(text, role, answer);
    }
    if (generate) text.append(answer_begins).append(thinking ? "<think>\n" : without_thought);
    return text;
}

std::string glm4_5(Messages messages, bool generate, bool thinking) {
    const auto is_user = [](const Message& message) { return message.role == Role::user; };
    const auto question = messages.rend() - std::find_if(messages.rbegin(), messages.rend(), is_user) - 1;
    std::string text = "[gMASK]<sop>";
    for (std::ptrdiff_t i = 0; i < std::ssize(messages); ++i) {
        const auto& [role, content] = messages[i];
        text.append("<|").append(name(role)).append("|>\n");
        if (role != Role::assistant) {
            text += content;
            if (role == Role::user && !thinking && !content.ends_with("/nothink")) text += "/nothink";
            continue;
        }
        const auto [thought, answer] = answer_of(content);
        text.append("<think>").append(i > question ? strip(thought) : "").append("</think>");
        if (!strip(answer).empty()) text.append("\n").append(strip(answer));
    }
    if (generate) text.append("<|assistant|>").append(thinking ? "" : "\n<think></think>");
    return text;
}

/// `space` stands around a turn's text where the template writes one.
std::string mixtral(const ChatForm& form, Messages messages, bool takes_system, const char* space) {
    std::string system, text = form.bos;
    if (takes_system && messages.front().role == Role::system) {
        system = messages.front().content + "\n\n";
        messages = messages.subspan(1);
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const auto& [role, content] = messages[i];
        if (role != (i % 2 == 0 ? Role::user : Role::assistant))
            refuse("Mixtral", takes_system ? "expected user and assistant in turn behind a system text, if any"
                                           : "expected user and assistant in turn, and no system text");
        if (role == Role::user)
            text.append(space).append("[INST] ").append(i == 0 ? system : "").append(content).append(" [/INST]");
        else
            text.append(space).append(content).append(form.eos);
    }
    return text;
}

}  // namespace

std::string render(const ChatForm& form, Messages messages, bool add_generation_prompt, bool thinking) {
    for (const Message& message : messages) text::from_utf8(message.content);  // or an Error
    switch (form.kind) {
        case ChatKind::qwen3_instruct:
            return qwen3_instruct(messages, add_generation_prompt);
        case ChatKind::qwen3:
            return qwen3(messages, add_generation_prompt, thinking);
        case ChatKind::qwen3_6:
            return qwen3_6(messages, add_generation_prompt, thinking);
        case ChatKind::glm4_5:
            return glm4_5(messages, add_generation_prompt, thinking);
        case ChatKind::mixtral:
            return mixtral(form, messages, false, "");
        case ChatKind::mixtral_system:
            return mixtral(form, messages, true, " ");
    }
    fail(Exit::internal, "render: unknown kind of chat form");
}

std::string chat_prompt(const ChatForm& form, const std::string& system, const std::string& question) {
    if (form.kind == ChatKind::mixtral && !system.empty())
        fail(Exit::usage,
             "ask.system: the model's chat template takes no system text: leave it empty, or set ask.chat = custom "
             "with ask.prefix, ask.infix and ask.suffix");
    std::vector<Message> messages;
    if (!system.empty()) messages.push_back({Role::system, system});
    messages.push_back({Role::user, question});
    return render(form, messages, true, false);
}

std::string custom_prompt(const CustomForm& form, const std::string& system, const std::string& question) {
    return form.prefix + system + form.infix + question + form.suffix;
}

}  // namespace moesweep
