// How a conversation becomes the text of a prompt: the chat templates of the supported models, written out for texts
// (no tools, images or lists of parts), and a form that the user describes.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moesweep {

enum class Role { system, user, assistant };

struct Message {
    Role role;
    std::string content;  ///< UTF-8
};

/// The known templates.
enum class ChatKind {
    qwen3_instruct,  ///< Qwen3-*-Instruct-2507: no thinking
    qwen3,           ///< Qwen3: thinking on demand
    qwen3_6,         ///< Qwen3.6
    glm4_5,          ///< GLM-4.5: "/nothink" behind the question; its answers begin with a newline
    mixtral,         ///< Mixtral-Instruct as it was first: refuses a system text
    mixtral_system,  ///< as it is now: puts the system text in front of the first question
};

struct ChatForm {
    ChatKind kind;
    std::string bos, eos;  ///< that Mixtral's templates write around messages; the others write none by name
};

/// What transformers' apply_chat_template(messages, tokenize=False) makes of at least one message, with
/// enable_thinking = `thinking` where the template knows it. Error(data) where the template raises an exception
/// (Mixtral: roles do not alternate; Qwen3.6: no question, or a system text that is not the first message), or if a
/// content is not valid UTF-8.
///
/// The template writes the special tokens that it wants as text, BOS included: Tokenizer::encode finds them, and no
/// BOS is put in front whatever model.bos says, as in transformers. It also finds those that a user's text contains.
std::string render(const ChatForm& form, std::span<const Message> messages, bool add_generation_prompt, bool thinking);

/// The prompt that asks a question, without thinking; an empty system text is left out. Error(usage) if the template
/// takes no system text.
std::string chat_prompt(const ChatForm& form, const std::string& system, const std::string& question);

/// ask.chat = custom.
struct CustomForm {
    std::string prefix, infix, suffix;
};

/// prefix + system + infix + question + suffix, always all five: without a system text the user leaves out of prefix
/// and infix what belongs to it. model.bos decides on a BOS in front.
std::string custom_prompt(const CustomForm& form, const std::string& system, const std::string& question);

}  // namespace moesweep
