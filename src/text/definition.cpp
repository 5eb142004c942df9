#include "definition.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "field.h"
#include "moesweep/base/files.h"

namespace moesweep::text {
namespace {

Bpe::Vocabulary read_vocabulary(const Field& field) {
    Bpe::Vocabulary vocabulary;
    vocabulary.reserve(field.object().size());
    for (const auto& [piece, id] : field.object().items()) vocabulary.emplace(piece, field.child(id, piece).id());
    if (vocabulary.empty()) field.refuse("at least one token");
    return vocabulary;
}

/// A merge's two pieces, from ["a", "b"] or "a b".
std::pair<std::string, std::string> read_pair(const Field& merge) {
    const Json& json = merge.json();
    if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) return {json[0], json[1]};
    if (json.is_string()) {
        const std::string& text = merge.string();
        const std::size_t space = text.find(' ');
        if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
            return {text.substr(0, space), text.substr(space + 1)};
    }
    merge.refuse("two pieces, as a list or separated by a space");
}

void read_merges(const Field& field, Bpe& bpe) {
    if (!field.json().is_array()) field.refuse("a list");
    bpe.merges.reserve(field.json().size());
    std::int32_t rank = 0;
    for (const Json& json : field.json()) {
        const Field merge = field.child(json, std::to_string(rank));
        const auto [left, right] = read_pair(merge);
        const auto id_of = [&](const std::string& piece) {
            const auto id = bpe.find(piece);
            if (!id) merge.refuse(fmt::format("pieces of the vocabulary ('{}' is not one)", piece));
            return *id;
        };
        // If a pair is listed twice, the last rank wins, as in the reference.
        bpe.merges.insert_or_assign(Bpe::pair_key(id_of(left), id_of(right)), Bpe::Merge{rank, id_of(left + right)});
        ++rank;
    }
}

Bpe read_model(const Field& model) {
    if (model.at("type").string() != "BPE") model.at("type").refuse("BPE");
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
        if (!model.text_or(affix, "").empty()) model.at(affix).refuse("none (it is not supported)");
    const auto dropout = model.find("dropout");
    if (dropout && dropout->json() != 0.0) dropout->refuse("none (tokens must not be random)");

    Bpe bpe;
    bpe.vocabulary = read_vocabulary(model.at("vocab"));
    read_merges(model.at("merges"), bpe);
    bpe.fuse_unknown = model.flag("fuse_unk", false);
    bpe.byte_fallback = model.flag("byte_fallback", false);
    bpe.ignore_merges = model.flag("ignore_merges", false);
    if (const auto unknown = model.find("unk_token")) {
        bpe.unknown = bpe.find(unknown->string());
        if (!bpe.unknown) unknown->refuse("a piece of the vocabulary");
    }
    return bpe;
}

/// The reference ignores the file's id of an added token: it takes that of the same piece, or counts on from the
/// vocabulary's size. A file with other ids is refused.
class IdsByPlace {
  public:
    explicit IdsByPlace(const Bpe& bpe) : bpe_(bpe), next_(static_cast<std::int32_t>(bpe.vocabulary.size())) {}

    void check(const Field& item, const AddedToken& token) {
        const auto in_vocabulary = bpe_.find(token.content);
        const std::int32_t id = in_vocabulary ? *in_vocabulary : known_.try_emplace(token.content, next_).first->second;
        if (id != token.id)
            item.at("id").refuse(in_vocabulary ? fmt::format("{}, the id of '{}' in model.vocab", id, token.content)
                                               : fmt::format("{}, which '{}' gets by its place", id, token.content));
        next_ = std::max(next_, id + 1);
    }

  private:
    const Bpe& bpe_;
    std::int32_t next_;
    std::unordered_map<std::string, std::int32_t> known_;  // content -> id
};

std::vector<AddedToken> read_added_tokens(const Field& list, const Bpe& bpe) {
    std::vector<AddedToken> tokens;
    IdsByPlace ids(bpe);
    for (const Field& item : list.items()) {
        AddedToken token{.content = item.at("content").string(),
                         .id = item.at("id").id(),
                         .single_word = item.flag("single_word", false),
                         .lstrip = item.flag("lstrip", false),
                         .rstrip = item.flag("rstrip", false),
                         .normalized = item.flag("normalized", true),
                         .special = item.flag("special", false)};
        if (token.content.empty()) item.at("content").refuse("a non-empty string");
        ids.check(item, token);
        tokens.push_back(std::move(token));
    }
    return tokens;
}

bool is_token(const Definition& definition, std::int32_t id) {
    const auto added = [&](const AddedToken& token) { return token.id == id; };
    const auto in_vocabulary = [&](const auto& entry) { return entry.second == id; };
    return std::any_of(definition.added.begin(), definition.added.end(), added) ||
           std::any_of(definition.bpe.vocabulary.begin(), definition.bpe.vocabulary.end(), in_vocabulary);
}

constexpr const char* a_token = "a token of tokenizer.json";

}  // namespace

std::optional<std::int32_t> Definition::find(std::string_view piece) const {
    const auto token =
        std::find_if(added.begin(), added.end(), [&](const AddedToken& t) { return t.content == piece; });
    return token == added.end() ? bpe.find(piece) : token->id;
}

Definition read_definition(const std::filesystem::path& path) {
    Definition definition;
    definition.file = path.string();
    const Json json = parse_json(read_file(path), definition.file);
    const Field root(definition.file, json);
    definition.bpe = read_model(root.at("model"));
    if (const auto list = root.find("added_tokens")) definition.added = read_added_tokens(*list, definition.bpe);
    if (const auto stage = root.find("normalizer")) read_normalizer(*stage, definition.normalizer);
    if (const auto stage = root.find("pre_tokenizer")) read_pre_tokenizer(*stage, definition.pre_tokenizer);
    if (const auto stage = root.find("post_processor")) {
        read_post_processor(*stage, definition.post_processor);
        for (const std::int32_t id : definition.post_processor.prefix)
            if (!is_token(definition, id)) stage->refuse(fmt::format("{} in front (id {} is not one)", a_token, id));
    }
    if (const auto stage = root.find("decoder")) {
        try {
            read_decoder(*stage, definition.decoder.emplace());
        } catch (const Error& error) {
            definition.decoder_refusal = error.what();
        }
    }
    return definition;
}

std::optional<std::int32_t> read_bos(const std::filesystem::path& model_folder, const Definition& definition) {
    const SideFile tokenizer_config(model_folder / "tokenizer_config.json"), config(model_folder / "config.json");
    if (const auto bos = tokenizer_config.find("bos_token")) {
        const auto id = definition.find(token_content(*bos));
        if (!id) bos->refuse(a_token);
        return id;
    }
    if (const auto bos = config.find("bos_token_id")) {
        if (!is_token(definition, bos->id())) bos->refuse(a_token);
        return bos->id();
    }
    return {};
}

std::optional<bool> read_add_bos(const std::filesystem::path& model_folder) {
    const SideFile tokenizer_config(model_folder / "tokenizer_config.json");
    if (!tokenizer_config.find("add_bos_token")) return {};
    return Field(tokenizer_config.file, tokenizer_config.json).flag("add_bos_token", false);
}

}  // namespace moesweep::text
