#include "moesweep/text/tokenizer.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "definition.h"
#include "moesweep/base/error.h"
#include "other_tokens.h"
#include "unicode.h"

namespace moesweep {

using namespace text;

struct Tokenizer::Impl {
    Definition definition;
    AddedTokens verbatim, normalized;  // looked for before and after normalisation
    bool marks_in_front = false;       // a text gets a space or its mark in front: "X" is encoded as " X"
    std::filesystem::path model_folder;
    std::vector<OtherToken> others;
    std::vector<std::string_view> pieces;  // by id; views into the definition
    std::set<std::string_view> special;    // contents; views into the definition
    // What added tokens with `normalized` are decoded to, by id. As in the reference it is this text that must be among
    // the special contents for the token to be left out.
    std::unordered_map<std::int32_t, std::string> normalized_contents;

    Encoding encode(std::string_view text, Marks marks) const;
    std::optional<std::int32_t> single_token(std::string_view text, Marks marks) const;
    void expect_no_other_token(std::string_view text) const;
    void append(const Piece& piece, Marks marks, Encoding& encoding) const;
    void append_token(std::int32_t id, std::string_view content, Span span, Encoding& encoding) const;
};

namespace {

bool puts_marks_in_front(const Definition& definition) {
    const auto prepends = [](const auto& step) { return std::holds_alternative<Prepend>(step); };
    const auto prefixes = [](const auto& step) { return std::holds_alternative<PrefixMark>(step); };
    return std::any_of(definition.normalizer.begin(), definition.normalizer.end(), prepends) ||
           std::any_of(definition.pre_tokenizer.begin(), definition.pre_tokenizer.end(), prefixes);
}

/// The command that makes a tokenizer.json from another kind of tokenizer.
std::string save_anew(const std::filesystem::path& folder) {
    return fmt::format(
        "make the file anew by python -c \"from transformers import AutoTokenizer as T; "
        "T.from_pretrained('{0}').save_pretrained('{0}')\"",
        folder.string());
}

/// Error(data) if there is only another kind of tokenizer; it says how to convert it.
void expect_tokenizer_json(const std::filesystem::path& folder) {
    using std::filesystem::exists;
    const auto path = folder / "tokenizer.json";
    if (exists(symlink_status(path))) return;
    for (const char* other : {"tokenizer.model", "vocab.json", "tekken.json"})
        if (exists(folder / other))
            fail(Exit::data, "{}: no such file, only {}: {}", path.string(), other, save_anew(folder));
}

/// Error(data) where two pieces share an id.
std::vector<std::string_view> pieces_by_id(const Definition& definition) {
    std::vector<std::string_view> pieces;
    const auto set = [&](std::int32_t id, std::string_view piece) {
        if (id >= static_cast<std::int32_t>(pieces.size())) pieces.resize(id + 1);
        if (!pieces[id].empty() && pieces[id] != piece)
            fail(Exit::data, "{}: '{}': id {} is taken by '{}'", definition.file, piece, id, pieces[id]);
        pieces[id] = piece;
    };
    for (const auto& [piece, id] : definition.bpe.vocabulary) set(id, piece);
    for (const AddedToken& token : definition.added) set(token.id, token.content);
    return pieces;
}

/// Cuts the white space at a token's ends from its span (ByteLevel's trim_offsets).
Span trim(const TrimOffsets& rule, std::string_view content, Span span, bool first) {
    const char32_t byte_level_space = byte_level_character(' ');
    std::vector<bool> spaces;
    for (std::size_t at = 0; at < content.size();) {
        const char32_t character = next_character(content, at);
        spaces.push_back(character == byte_level_space || is_space(character));
    }
    auto leading = static_cast<std::int32_t>(std::find(spaces.begin(), spaces.end(), false) - spaces.begin());
    const auto trailing = static_cast<std::int32_t>(std::find(spaces.rbegin(), spaces.rend(), false) - spaces.rbegin());
    if ((first || span.begin == 0) && rule.add_prefix_space && leading == 1) leading = 0;
    span.begin = std::min(span.begin + leading, span.end);
    if (span.end >= trailing) span.end = std::max(span.end - trailing, span.begin);
    return span;
}

}  // namespace

void Tokenizer::Impl::append_token(std::int32_t id, std::string_view content, Span span, Encoding& encoding) const {
    if (const auto& rule = definition.post_processor.trim_offsets)
        span = trim(*rule, content, span, encoding.ids.empty());
    encoding.ids.push_back(id);
    encoding.begin.push_back(span.begin);
    encoding.end.push_back(span.end);
}

void Tokenizer::Impl::append(const Piece& piece, Marks marks, Encoding& encoding) const {
    if (piece.id) {
        append_token(*piece.id, piece.text.bytes, piece.text.span(0, piece.text.bytes.size()), encoding);
        return;
    }
    for (const AlignedText& word : pre_tokenize(definition.pre_tokenizer, piece.text, marks))
        for (const Token& token : definition.bpe.tokenize(word.bytes))
            append_token(token.id, pieces[token.id], word.span(token.begin, token.end), encoding);
}

void Tokenizer::Impl::expect_no_other_token(std::string_view text) const {
    for (const OtherToken& token : others)
        if (text.find(token.content) != text.npos)
            fail(Exit::data, "{}: lacks the token '{}' that {} adds, and the text '{}' contains it: {}",
                 definition.file, token.content, token.file, text, save_anew(model_folder));
}

Encoding Tokenizer::Impl::encode(std::string_view text, Marks marks) const {
    expect_no_other_token(text);
    Encoding encoding;
    for (Piece& piece : verbatim.split(from_utf8(text))) {
        if (piece.id) {
            append(piece, marks, encoding);
            continue;
        }
        for (const Piece& part : normalized.split(normalize(definition.normalizer, std::move(piece.text), marks)))
            append(part, marks, encoding);
    }
    return encoding;
}

std::optional<std::int32_t> Tokenizer::Impl::single_token(std::string_view text, Marks marks) const {
    const Encoding encoding = encode(text, marks);
    if (encoding.ids.size() != 1 || encoding.ids.front() == definition.bpe.unknown) return {};
    return encoding.ids.front();
}

Tokenizer::Tokenizer(const std::filesystem::path& model_folder) : impl_(std::make_unique<Impl>()) {
    expect_tokenizer_json(model_folder);
    impl_->definition = read_definition(model_folder / "tokenizer.json");
    const Definition& definition = impl_->definition;
    impl_->model_folder = model_folder;
    impl_->others = read_other_tokens(model_folder, definition);
    impl_->marks_in_front = puts_marks_in_front(definition);
    impl_->pieces = pieces_by_id(definition);
    for (const AddedToken& token : definition.added)
        if (token.special) impl_->special.insert(token.content);
    for (AddedToken token : definition.added) {
        if (!token.normalized) {
            impl_->verbatim.add(std::move(token));
            continue;
        }
        std::string content = normalize(definition.normalizer, from_utf8(token.content), Marks::as_in_file).bytes;
        if (content.empty())
            fail(Exit::data, "{}: added_tokens: '{}': expected some text, the normalizer leaves none", definition.file,
                 token.content);
        impl_->normalized_contents[token.id] = content;
        token.content = std::move(content);
        impl_->normalized.add(std::move(token));
    }
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Encoding Tokenizer::encode(std::string_view text) const {
    return impl_->encode(text, Marks::as_in_file);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
    const Definition& definition = impl_->definition;
    if (!definition.decoder_refusal.empty()) fail(Exit::data, "{}", definition.decoder_refusal);
    std::vector<std::string> pieces;
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= size()) continue;
        const auto normalized = impl_->normalized_contents.find(id);
        const std::string_view content =
            normalized == impl_->normalized_contents.end() ? piece(id) : normalized->second;
        if (!content.empty() && !(skip_special && impl_->special.contains(content))) pieces.emplace_back(content);
    }
    return text::decode(definition.decoder, std::move(pieces));
}

std::optional<std::int32_t> Tokenizer::single_token_after_space(std::string_view word) const {
    if (impl_->marks_in_front) return impl_->single_token(word, Marks::as_in_file);
    return impl_->single_token(std::string(" ").append(word), Marks::as_in_file);
}

std::optional<std::int32_t> Tokenizer::single_token_bare(std::string_view word) const {
    return impl_->single_token(word, Marks::none);
}

std::optional<std::int32_t> Tokenizer::default_bos() const {
    const auto& prefix = impl_->definition.post_processor.prefix;
    if (prefix.size() > 1)
        fail(Exit::data, "{}: post_processor: puts {} tokens before a text, expected at most one BOS; set model.bos",
             impl_->definition.file, prefix.size());
    return prefix.empty() ? std::nullopt : std::optional(prefix.front());
}

std::optional<std::int32_t> Tokenizer::bos() const {
    const auto& prefix = impl_->definition.post_processor.prefix;
    return prefix.size() == 1 ? std::optional(prefix.front()) : read_bos(impl_->model_folder, impl_->definition);
}

std::string Tokenizer::note() const {
    const auto& others = impl_->others;
    if (others.empty()) return "";
    return fmt::format("{} of {} {} not in tokenizer.json, e.g. '{}': a text that contains one is refused",
                       others.size(), others[0].file, others.size() == 1 ? "is" : "are", others[0].content);
}

std::string Tokenizer::bos_dispute() const {
    const auto bos = default_bos();
    if (const auto add = read_add_bos(impl_->model_folder); add && *add != bos.has_value())
        return fmt::format(
            "tokenizer_config.json says add_bos_token = {}, but tokenizer.json puts {} in front, and wins; "
            "model.bos decides otherwise",
            *add, bos ? "one" : "none");
    try {
        const auto named = read_bos(impl_->model_folder, impl_->definition);
        if (bos && named && *named != *bos)
            return fmt::format("tokenizer.json puts '{}' in front, and wins; the BOS of the other files is '{}'",
                               piece(*bos), piece(*named));
    } catch (const Error& error) {
        if (bos) return error.what();
    }
    return "";
}

std::optional<std::int32_t> Tokenizer::find(std::string_view piece) const {
    return impl_->definition.find(piece);
}
std::string_view Tokenizer::piece(std::int32_t id) const {
    return impl_->pieces.at(id);
}
std::int32_t Tokenizer::size() const {
    return static_cast<std::int32_t>(impl_->pieces.size());
}

}  // namespace moesweep
