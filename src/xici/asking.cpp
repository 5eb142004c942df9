#include "moesweep/xici/asking.h"

#include <algorithm>

#include "moesweep/base/json.h"
#include "moesweep/text/bos.h"
#include "moesweep/text/chat_form.h"
#include "moesweep/text/chat_template.h"

namespace moesweep {
namespace {

const std::string& required(const std::string& path) {
    if (path.empty())
        fail(Exit::usage, "questions.path: required, set it in the configuration or as --questions.path=...");
    return path;
}

/// Labels in the order in which questions have them first, and every question's variants in that order.
void order_languages(Asking& asking) {
    for (const Question& question : asking.questions)
        for (const Variant& variant : question.variants)
            if (std::ranges::find(asking.languages, variant.language) == asking.languages.end())
                asking.languages.push_back(variant.language);
    for (Question& question : asking.questions)
        std::ranges::sort(question.variants, {}, [&](const Variant& v) { return asking.language_of(v); });
}

/// RUN/questions.h5: a line per question and language, in which the question is told again.
struct StoredAsking {
    QuestionColumns questions;
    VariantColumns variants;
    std::vector<std::string> language;
};

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, StoredAsking>
void columns(Table& t, Visit&& visit) {
    columns(t.questions, visit);
    visit(ColumnInfo{"label", "", "the language's label"}, t.language, 1);
    columns(t.variants, visit);
}

void expect_consistent(const StoredAsking& stored, const std::string& file) {
    const auto& [question, language, text, reference, answers, token_begin, token_ids] = stored.variants;
    const std::size_t n = question.size();
    columns(stored, [&](const ColumnInfo& info, const auto& column, int) {
        const std::size_t lines = std::string_view(info.name) == "token_begin" ? n + 1 : n;
        if (std::string_view(info.name) != "token_ids" && column.size() != lines)
            fail(Exit::data, "{}: questions: {}: {} lines, expected {}", file, info.name, column.size(), lines);
    });
    for (std::size_t i = 0; i < n; ++i) {
        if (question[i] < 0 ||
            (i == 0 ? question[i] > 0 : question[i] < question[i - 1] || question[i] > question[i - 1] + 1))
            fail(Exit::data, "{}: questions: question: line {}: {} is out of order", file, i, question[i]);
        if (token_begin[i] >= token_begin[i + 1])
            fail(Exit::data, "{}: questions: token_begin: line {}: no tokens", file, i);
    }
    if (token_begin[0] != 0 || token_begin[n] != static_cast<std::int64_t>(token_ids.size()))
        fail(Exit::data, "{}: questions: token_ids: {} tokens, expected {}", file, token_ids.size(), token_begin[n]);
}

}  // namespace

std::int32_t Asking::language_of(const Variant& variant) const {
    return static_cast<std::int32_t>(std::ranges::find(languages, variant.language) - languages.begin());
}

std::int64_t Asking::sequences() const {
    std::int64_t all = 0;
    for (const Question& question : questions) all += std::ssize(question.variants);
    return all;
}

std::int64_t Asking::longest_prompt() const {
    std::int64_t most = 1;
    for (const auto& question : prompts)
        for (const auto& prompt : question) most = std::max<std::int64_t>(most, std::ssize(prompt));
    return most;
}

std::int64_t Asking::noted(const std::string& key) const {
    for (const auto& [name, value] : meta)
        if (name == key) return std::stoll(value);
    fail(Exit::data, "questions.h5: meta: {}: missing", key);
}

std::vector<bool> Asking::is_moe() const {
    std::vector<bool> moe(static_cast<std::size_t>(noted("num_hidden_layers")), true);
    for (const auto& [name, value] : meta) {
        if (name != "dense_layers" || value == "none") continue;
        const auto layers = LayerList::parse(value);
        if (!layers) fail(Exit::data, "questions.h5: meta: dense_layers: '{}'", value);
        for (const int layer : layers->of_model(std::ssize(moe), "dense_layers"))
            moe[static_cast<std::size_t>(layer)] = false;
    }
    return moe;
}

bool Asking::sigmoid_router() const {
    return std::ranges::find(meta, std::pair<std::string, std::string>("router", "sigmoid")) != meta.end();
}

Asking read_asking(const XiciConfig::Questions& asked) {
    Asking asking;
    asking.questions = select_questions(read_questions(required(asked.path)), asked);
    order_languages(asking);
    return asking;
}

PromptForm make_prompts(const XiciConfig& config, const Tokenizer& tokenizer, Asking& asking) {
    const XiciConfig::Ask& ask = config.ask;
    PromptForm form{.stop = stop_tokens(config.model.path, tokenizer)};
    if (!form.stop.note.empty()) form.notes.push_back(form.stop.note);
    if (form.stop.ids.empty())
        form.notes.push_back("no file of the model names a token that ends an answer: each has ask.max_tokens tokens");
    std::optional<ChatTemplate> chat;
    if (ask.chat == Chat::automatic) {
        chat = find_chat_template(config.model.path);
        if (!chat->note.empty()) form.notes.push_back(chat->note);
    }
    form.name = chat ? chat->name : ask.chat == Chat::none ? "none" : "custom";

    const auto ids_of = [&](const std::string& question) {
        if (chat) return prompt_ids(tokenizer, chat_prompt(chat->form, ask.system, question), Bos::no);
        if (ask.chat == Chat::none) return prompt_ids(tokenizer, question, config.model.bos);
        const CustomForm custom{ask.prefix, ask.infix, ask.suffix};
        return prompt_ids(tokenizer, custom_prompt(custom, ask.system, question), config.model.bos);
    };
    asking.prompts.clear();
    for (const Question& question : asking.questions) {
        auto& prompts = asking.prompts.emplace_back();
        for (const Variant& variant : question.variants) {
            prompts.push_back(ids_of(variant.question));
            if (prompts.back().empty())
                fail(Exit::data, "{}: {}: {}: question: no tokens", config.questions.path, question.id,
                     variant.language);
        }
    }
    return form;
}

QuestionColumns question_columns(const Asking& asking) {
    QuestionColumns c;
    for (const Question& question : asking.questions) {
        c.id.push_back(question.id);
        c.dataset.push_back(question.dataset);
        c.relation.push_back(question.relation);
    }
    return c;
}

LanguageColumns language_columns(const Asking& asking) {
    return {asking.languages};
}

VariantColumns variant_columns(const Asking& asking) {
    VariantColumns c;
    c.token_begin.push_back(0);
    for (std::size_t q = 0; q < asking.questions.size(); ++q) {
        const auto& variants = asking.questions[q].variants;
        for (std::size_t v = 0; v < variants.size(); ++v) {
            c.question.push_back(static_cast<std::int32_t>(q));
            c.language.push_back(asking.language_of(variants[v]));
            c.text.push_back(variants[v].question);
            c.reference.push_back(variants[v].answers[0]);
            c.answers.push_back(Json(variants[v].answers).dump());
            const auto& tokens = asking.prompts[q][v];
            c.token_ids.insert(c.token_ids.end(), tokens.begin(), tokens.end());
            c.token_begin.push_back(static_cast<std::int64_t>(c.token_ids.size()));
        }
    }
    return c;
}

std::optional<Asking> read_asking_file(const Store& store) {
    StoredAsking stored;
    const auto meta = store.read_items("questions", targets(stored));
    if (!meta) return std::nullopt;
    const std::string file = (store.folder() / "questions.h5").string();
    expect_consistent(stored, file);
    Asking asking;
    asking.meta = *meta;
    const auto& [question, language, text, reference, answers, token_begin, token_ids] = stored.variants;
    for (std::size_t i = 0; i < question.size(); ++i) {
        if (static_cast<std::size_t>(question[i]) == asking.questions.size()) {
            asking.questions.push_back(
                {stored.questions.id[i], stored.questions.dataset[i], stored.questions.relation[i], {}});
            asking.prompts.emplace_back();
        }
        asking.questions.back().variants.push_back(
            {stored.language[i], text[i], parse_json(answers[i], file).get<std::vector<std::string>>()});
        asking.prompts.back().emplace_back(token_ids.begin() + token_begin[i], token_ids.begin() + token_begin[i + 1]);
    }
    // Labels stand in the order of their numbers, which need not be that of the lines.
    for (std::size_t i = 0; i < question.size(); ++i) {
        const auto place = static_cast<std::size_t>(language[i]);
        if (place >= asking.languages.size()) asking.languages.resize(place + 1);
        asking.languages[place] = stored.language[i];
    }
    return asking;
}

void write_asking_file(const Store& store, const Asking& asking) {
    StoredAsking stored;
    stored.variants = variant_columns(asking);
    for (std::size_t i = 0; i < stored.variants.size(); ++i) {
        const Question& question = asking.questions[static_cast<std::size_t>(stored.variants.question[i])];
        stored.questions.id.push_back(question.id);
        stored.questions.dataset.push_back(question.dataset);
        stored.questions.relation.push_back(question.relation);
        stored.language.push_back(asking.languages[static_cast<std::size_t>(stored.variants.language[i])]);
    }
    store.write_items("questions", asking.meta, views(stored));
}

}  // namespace moesweep
