#include "moesweep/text/stop_tokens.h"

#include <algorithm>
#include <set>

#include "field.h"

namespace moesweep {

using namespace text;

namespace {

std::int32_t token_id(const Field& field, const Tokenizer& tokenizer) {
    const std::int32_t id = field.id();
    if (id >= tokenizer.size() || tokenizer.piece(id).empty()) field.refuse("a token of tokenizer.json");
    return id;
}

/// generate()'s.
std::set<std::int32_t> by_configuration(const SideFile& file, const Tokenizer& tokenizer) {
    const auto eos = file.find("eos_token_id");
    if (!eos) return {};
    if (!eos->json().is_array()) return {token_id(*eos, tokenizer)};
    std::set<std::int32_t> ids;
    for (const Field& item : eos->items()) ids.insert(token_id(item, tokenizer));
    return ids;
}

}  // namespace

StopTokens stop_tokens(const std::filesystem::path& model_folder, const Tokenizer& tokenizer) {
    const auto generation = model_folder / "generation_config.json";
    const SideFile configuration(exists(generation) ? generation : model_folder / "config.json");
    const SideFile tokenizer_config(model_folder / "tokenizer_config.json");

    StopTokens stop;
    std::set<std::int32_t> ids = by_configuration(configuration, tokenizer);
    if (const auto eos = tokenizer_config.find("eos_token")) {
        const auto id = tokenizer.find(token_content(*eos));
        if (!id) eos->refuse("a token of tokenizer.json");
        if (ids.insert(*id).second)
            stop.note = fmt::format(
                "'{}', the eos_token of tokenizer_config.json, ends an answer, too; transformers' generate() goes on, "
                "for {} does not name it",
                tokenizer.piece(*id), std::filesystem::path(configuration.file).filename().string());
    }
    stop.ids.assign(ids.begin(), ids.end());
    return stop;
}

}  // namespace moesweep
