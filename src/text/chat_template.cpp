#include "moesweep/text/chat_template.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "field.h"
#include "moesweep/base/files.h"

namespace moesweep {

using namespace text;

namespace {

struct Known {
    const char* sha256;  // of as_jinja_reads()
    ChatKind kind;
    const char* name;
};

constexpr Known known_templates[] = {
    {"64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326", ChatKind::qwen3_instruct,
     "Qwen3-Instruct-2507"},
    {"a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8", ChatKind::qwen3, "Qwen3"},
    {"87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5", ChatKind::qwen3,
     "Qwen3"},  // as it was first, before contents could be lists of parts
    {"e84f32a23fdda27689f868aa4a1a5621f41133e51a48d7f3efcbea2839574259", ChatKind::qwen3_6, "Qwen3.6"},
    {"44f815868bf02fa458dd2f741a338046f4bf45f398eb6d067766726b9d96cce3", ChatKind::glm4_5, "GLM-4.5"},
    {"26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7", ChatKind::mixtral, "Mixtral-Instruct"},
    {"bbc58aad99454df60138be9530c9601a0adfe3d8932cda975e1f10b2410ddc51", ChatKind::mixtral_system, "Mixtral-Instruct"},
};

/// A template's text and where it stands.
struct Found {
    std::string file, text;
};

std::string as_jinja_reads(std::string_view source) {
    std::string text;
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r' && source.substr(i + 1, 1) == "\n") continue;
        text += source[i] == '\r' ? '\n' : source[i];
    }
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

/// A text, or the default of a list of named ones.
std::string default_of(const Field& field) {
    if (!field.json().is_array()) return field.string();
    std::optional<std::string> text;
    for (const Field& item : field.items())
        if (item.at("name").string() == "default") text = item.at("template").string();
    if (!text) field.refuse("a template named \"default\"");
    return *text;
}

/// In the order in which transformers would take them.
std::vector<Found> all_templates(const std::filesystem::path& folder) {
    std::vector<Found> found;
    for (const char* name : {"additional_chat_templates/default.jinja", "chat_template.jinja"})
        if (const auto path = folder / name; exists(path))
            found.push_back({path.string(), as_jinja_reads(read_file(path))});
    for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
        const SideFile file(folder / name);
        if (const auto field = file.find("chat_template"))
            found.push_back({field->where(), as_jinja_reads(default_of(*field))});
    }
    return found;
}

/// Mixtral's templates write both tokens; transformers takes them from here.
void read_special_tokens(const std::filesystem::path& folder, ChatForm& form) {
    const SideFile file(folder / "tokenizer_config.json");
    const Field root(file.file, file.json);
    form.bos = token_content(root.at("bos_token"));
    form.eos = token_content(root.at("eos_token"));
}

}  // namespace

ChatTemplate find_chat_template(const std::filesystem::path& model_folder, const char* advice) {
    const auto templates = all_templates(model_folder);
    if (templates.empty())
        fail(Exit::data, "{}: no chat template, in chat_template.jinja or tokenizer_config.json: {}",
             model_folder.string(), advice);
    const auto& [file, text] = templates.front();
    const std::string hash = sha256(text);
    const auto known = std::ranges::find_if(known_templates, [&](const Known& k) { return hash == k.sha256; });
    if (known == std::end(known_templates))
        fail(Exit::data,
             "{}: expected the chat template of Qwen3, Qwen3-Instruct-2507, Qwen3.6, GLM-4.5 or Mixtral-Instruct, "
             "found another (SHA-256 {}...): {}",
             file, hash.substr(0, 16), advice);

    ChatTemplate chat{known->name, file, {known->kind, "", ""}, ""};
    if (known->kind == ChatKind::mixtral || known->kind == ChatKind::mixtral_system)
        read_special_tokens(model_folder, chat.form);
    for (const Found& other : templates)
        if (other.text != text)
            chat.note = fmt::format("{} has the model's chat template, and wins; {} has another", file, other.file);
    return chat;
}

}  // namespace moesweep
