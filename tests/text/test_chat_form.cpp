// Chat forms against transformers' renderings (where ../shared is there), and recognition on made-up folders.
// tests/oracle/test_text.py renders random conversations by the templates themselves.
#include "moesweep/text/chat_form.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "moesweep/base/json.h"
#include "moesweep/text/chat_template.h"
#include "moesweep/text/tokenizer.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

// Mixtral-Instruct's first template: short enough to stand here.
const std::string mixtral_template =
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";

const Json mixtral_tokens = {{"bos_token", "<s>"}, {"eos_token", {{"content", "</s>"}}}};

std::optional<fs::path> shared_data() {
    const auto shared = shared_folder();
    if (shared) return *shared / "data";
    WARN("skipped: the environment variable MOESWEEP_SHARED names no folder");
    return {};
}

std::string content_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

void write(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
}

std::vector<Message> messages_of(const Json& json) {
    const std::map<std::string, Role> roles = {
        {"system", Role::system}, {"user", Role::user}, {"assistant", Role::assistant}};
    std::vector<Message> messages;
    for (const Json& message : json) messages.push_back({roles.at(message.at("role")), message.at("content")});
    return messages;
}

/// The form of a template of the shared folder, by recognition.
ChatForm form_of(const fs::path& data, const std::string& name) {
    const Scratch model;
    write(model / "chat_template.jinja", content_of(data / "chat_templates" / name));
    write(model / "tokenizer_config.json", mixtral_tokens.dump());
    return find_chat_template(model.folder()).form;
}

std::string refusal(const Scratch& model) {
    const Failure failure = failure_of([&] { find_chat_template(model.folder()); });
    CHECK(failure.code == Exit::data);
    CHECK_THAT(failure.message, !Contains("\n"));
    return failure.message;
}

}  // namespace

TEST_CASE("renderings and ids equal transformers'") {
    const auto data = shared_data();
    if (!data) return;
    const Tokenizer qwen(*data / "tokenizers" / "qwen3");
    std::map<std::string, int> compared;
    int with_ids = 0;
    std::ifstream goldens(*data / "chat_templates" / "golden.jsonl");
    for (std::string line; std::getline(goldens, line);) {
        const Json golden = Json::parse(line);
        const std::string name = golden.at("template");
        CAPTURE(line);
        const bool thinking = !golden.contains("kwargs") || golden["kwargs"].at("enable_thinking").get<bool>();
        const std::string text = render(form_of(*data, name), messages_of(golden.at("messages")),
                                        golden.at("add_generation_prompt").get<bool>(), thinking);
        CHECK(text == golden.at("text").get<std::string>());
        ++compared[name];
        if (!golden.contains("ids")) continue;
        CHECK(qwen.encode(text).ids == golden["ids"].get<std::vector<std::int32_t>>());
        ++with_ids;
    }
    CHECK(compared == std::map<std::string, int>{{"qwen3-instruct-2507.jinja", 26},
                                                 {"qwen3.jinja", 78},
                                                 {"qwen3.6.jinja", 52},
                                                 {"glm-4.5.jinja", 78},
                                                 {"mistral-v1-instruct.jinja", 26}});
    CHECK(with_ids == 104);
}

TEST_CASE("Mixtral's first template") {
    const ChatForm form{ChatKind::mixtral, "<s>", "</s>"};
    const std::vector<Message> turns = {{Role::user, "a"}, {Role::assistant, "b"}, {Role::user, " c"}};
    CHECK(render(form, turns, true, false) == "<s>[INST] a [/INST]b</s>[INST]  c [/INST]");
    CHECK(chat_prompt(form, "", "a") == "<s>[INST] a [/INST]");
    const Failure failure = failure_of([&] { chat_prompt(form, "be short", "a"); });
    CHECK(failure.code == Exit::usage);
    CHECK_THAT(failure.message, Contains("ask.system") && Contains("ask.chat = custom"));
}

TEST_CASE("what a template raises is an error") {
    const Message system{Role::system, "s"}, user{Role::user, "u"}, assistant{Role::assistant, "a"};
    const auto refused = [](ChatKind kind, const std::vector<Message>& messages) {
        return failure_of([&] { render({kind, "<s>", "</s>"}, messages, true, false); }).code == Exit::data;
    };
    for (const ChatKind kind : {ChatKind::mixtral, ChatKind::mixtral_system}) {
        CHECK(!refused(kind, {user, assistant, user}));
        CHECK(refused(kind, {user, user}));
        CHECK(refused(kind, {assistant}));
        CHECK(refused(kind, {user, system}));
        CHECK(refused(kind, {system, user}) == (kind == ChatKind::mixtral));
    }
    CHECK(refused(ChatKind::qwen3_6, {user, system}));
    CHECK(refused(ChatKind::qwen3_6, {system, assistant}));
    CHECK(refused(ChatKind::qwen3_6, {{Role::user, "<tool_response>\nx\n</tool_response>"}}));
    CHECK(!refused(ChatKind::qwen3, {user, system}));
    CHECK_THAT(failure_of([&] {
                   chat_prompt({ChatKind::qwen3_6, "", ""}, "", "ab\xff");
               }).message,
               Contains("byte 2: not valid UTF-8"));
}

TEST_CASE("prompts of a question") {
    CHECK(chat_prompt({ChatKind::qwen3, "", ""}, "s", "q") ==
          "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\n\n</"
          "think>\n\n");
    CHECK(chat_prompt({ChatKind::qwen3_instruct, "", ""}, "", "q") ==
          "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n");
    CHECK(chat_prompt({ChatKind::glm4_5, "", ""}, "s", "q") ==
          "[gMASK]<sop><|system|>\ns<|user|>\nq/nothink<|assistant|>\n<think></think>");
    CHECK(custom_prompt({"<", "|", ">"}, "s", "q") == "<s|q>");
    CHECK(custom_prompt({"<", "|", ">"}, "", "q") == "<|q>");
}

TEST_CASE("a template is known in each file that it can stand in, and by its text alone") {
    const Json named = {{{"name", "tool_use"}, {"template", "x"}},
                        {{"name", "default"}, {"template", mixtral_template}}};
    const auto known = [](const char* file, const std::string& content, const Json& chat_template) {
        const Scratch model;
        Json configuration = mixtral_tokens;
        if (!chat_template.is_null()) configuration["chat_template"] = chat_template;
        write(model / "tokenizer_config.json", configuration.dump());
        if (*file) write(model / file, content);
        const ChatTemplate found = find_chat_template(model.folder());
        CHECK(found.name == "Mixtral-Instruct");
        CHECK(found.form.kind == ChatKind::mixtral);
        CHECK(found.form.bos == "<s>");
        CHECK(found.form.eos == "</s>");
        return found.note;
    };
    CHECK(known("", "", mixtral_template).empty());
    CHECK(known("", "", named).empty());
    CHECK(known("chat_template.jinja", mixtral_template, nullptr).empty());
    CHECK(known("chat_template.jinja", mixtral_template + "\r\n", mixtral_template).empty());
    CHECK(known("additional_chat_templates/default.jinja", mixtral_template, nullptr).empty());
    CHECK(known("chat_template.json", Json{{"chat_template", mixtral_template}}.dump(), nullptr).empty());
    CHECK_THAT(known("chat_template.jinja", mixtral_template, "x"),
               Contains("chat_template.jinja has the model's chat template, and wins;") &&
                   EndsWith("tokenizer_config.json: chat_template has another"));
    CHECK_THAT(known("chat_template.json", R"({"chat_template": "x"})", mixtral_template),
               EndsWith("chat_template.json: chat_template has another"));
}

TEST_CASE("templates that are not known are refused, and say what to do") {
    const Scratch model;
    const auto custom = Contains("ask.chat = custom with ask.prefix, ask.infix and ask.suffix");
    CHECK_THAT(refusal(model), Contains("no chat template") && custom);
    const fs::path jinja = model / "chat_template.jinja", configuration = model / "tokenizer_config.json";
    for (const std::string& text : {mixtral_template + " ", mixtral_template + "\n\n", " " + mixtral_template}) {
        write(jinja, text);
        CHECK_THAT(refusal(model), Contains("chat_template.jinja: expected the chat template of Qwen3,") && custom);
    }
    write(jinja, mixtral_template);
    CHECK_THAT(refusal(model), EndsWith("tokenizer_config.json: bos_token: missing"));
    write(configuration, R"({"bos_token": "<s>", "eos_token": null})");
    CHECK_THAT(refusal(model), EndsWith("tokenizer_config.json: eos_token: missing"));
    write(configuration, "{");
    CHECK_THAT(refusal(model), Contains("tokenizer_config.json: byte 2"));
    fs::remove(jinja);
    write(configuration, R"({"chat_template": 3})");
    CHECK_THAT(refusal(model), Contains("chat_template: expected a string, found 3"));
    write(configuration, R"({"chat_template": [{"name": "tool_use", "template": "x"}]})");
    CHECK_THAT(refusal(model), Contains("chat_template: expected a template named \"default\""));
    write(configuration, R"({"chat_template": [{"name": "default"}]})");
    CHECK_THAT(refusal(model), EndsWith("chat_template.0.template: missing"));
}
