// A model's chat template, recognised by the SHA-256 of its text: there is no Jinja here.
#pragma once
#include <filesystem>
#include <string>

#include "moesweep/text/chat_form.h"

namespace moesweep {

struct ChatTemplate {
    std::string name;  ///< of the model whose template it is
    std::string file;  ///< that it stands in
    ChatForm form;
    std::string note;  ///< a line where another file of the folder has another template; else empty
};

/// The template that transformers 5 uses: the first of additional_chat_templates/default.jinja, chat_template.jinja,
/// chat_template of tokenizer_config.json (a text, or the one named "default" of a list), and chat_template.json, which
/// there only processors read.
///
/// What is hashed is the text as Jinja reads it: line ends as \n and without the last one, so that neither a change of
/// line ends nor an editor's last line makes a template another. Any other change does, however small: what a template
/// does with a space cannot be told without running it.
///
/// Error(data) if there is none, if it is not one of the known ones (both end in the advice: which keys describe a form
/// instead), if a file is broken, or if Mixtral's names a BOS or EOS token that tokenizer_config.json lacks.
ChatTemplate find_chat_template(
    const std::filesystem::path& model_folder,
    const char* advice = "set ask.chat = custom with ask.prefix, ask.infix and ask.suffix, or ask.chat = none");

}  // namespace moesweep
