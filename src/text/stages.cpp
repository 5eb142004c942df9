// The stages before and after the model: normalizer, pre_tokenizer, post_processor, decoder.
#include "stages.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace moesweep::text {
namespace {

constexpr const char* space_mark = "\xe2\x96\x81";  // U+2581, SentencePiece's

// GPT-2's pattern, which a ByteLevel pre-tokenizer with use_regex stands for.
constexpr const char* gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

const std::string& kind(const Field& stage) {
    return stage.at("type").string();
}

Replace read_replace(const Field& stage) {
    const auto literal = stage.at("pattern").find("String");
    if (!literal || literal->string().empty())
        stage.at("pattern").refuse("a non-empty String (a Regex is not supported here)");
    return {literal->string(), stage.at("content").string()};
}

Split read_split(const Field& stage) {
    using enum Split::Behavior;
    static const std::pair<const char*, Split::Behavior> behaviors[] = {{"Removed", removed},
                                                                        {"Isolated", isolated},
                                                                        {"MergedWithPrevious", merged_with_previous},
                                                                        {"MergedWithNext", merged_with_next},
                                                                        {"Contiguous", contiguous}};
    const Field behavior = stage.at("behavior"), pattern = stage.at("pattern");
    const auto known = std::find_if(std::begin(behaviors), std::end(behaviors),
                                    [&](const auto& entry) { return behavior.string() == entry.first; });
    if (known == std::end(behaviors)) behavior.refuse("a split behavior");
    const auto literal = pattern.find("String");
    const Field text = literal ? *literal : pattern.at("Regex");
    const auto how = literal ? Regex::Kind::literal : Regex::Kind::expression;
    return {Regex(text.string(), how, text.where()), known->second, stage.flag("invert", false)};
}

bool is_one_character(const std::string& text) {
    std::size_t end = 0;
    if (!text.empty()) next_character(text, end);
    return end != 0 && end == text.size();
}

struct Metaspace {
    std::string mark;
    bool prefix, only_at_start;
};

/// What the pre-tokenizer and the decoder of this name share.
Metaspace metaspace_of(const Field& stage) {
    const std::string mark = stage.text_or("replacement", space_mark);
    if (!is_one_character(mark)) stage.at("replacement").refuse("one character");
    const std::string scheme =
        stage.text_or("prepend_scheme", stage.flag("add_prefix_space", true) ? "always" : "never");
    if (scheme != "first" && scheme != "always" && scheme != "never")
        stage.at("prepend_scheme").refuse("first, always or never");
    return {mark, scheme != "never", scheme == "first"};
}

void read_metaspace(const Field& stage, PreTokenizer& steps) {
    const auto [mark, prefix, only_at_start] = metaspace_of(stage);
    steps.push_back(Replace{" ", mark});
    if (prefix) steps.push_back(PrefixMark{mark, only_at_start});
    if (stage.flag("split", true))
        steps.push_back(
            Split{Regex(mark, Regex::Kind::literal, stage.where()), Split::Behavior::merged_with_next, false});
}

Strip read_strip(const Field& stage) {
    const std::string& content = stage.at("content").string();
    if (!is_one_character(content)) stage.at("content").refuse("one character");
    std::size_t at = 0;
    const auto count = [&](const char* key) { return static_cast<std::size_t>(stage.at(key).id()); };
    return {next_character(content, at), count("start"), count("stop")};
}

void read_template(const Field& stage, PostProcessor& post_processor) {
    for (const Field& item : stage.at("single").items()) {
        const auto token = item.find("SpecialToken");
        if (!token) break;  // the text itself; what follows it does not concern a prompt
        for (const Field& id : stage.at("special_tokens").at(token->at("id").string()).at("ids").items())
            post_processor.prefix.push_back(id.id());
    }
}

}  // namespace

void read_normalizer(const Field& stage, Normalizer& steps) {
    if (kind(stage) == "Sequence") {
        for (const Field& item : stage.at("normalizers").items()) read_normalizer(item, steps);
    } else if (kind(stage) == "NFC") {
        steps.push_back(Nfc{});
    } else if (kind(stage) == "Prepend") {
        steps.push_back(Prepend{stage.at("prepend").string()});
    } else if (kind(stage) == "Replace") {
        steps.push_back(read_replace(stage));
    } else {
        stage.at("type").refuse("NFC, Prepend, Replace or Sequence");
    }
}

void read_pre_tokenizer(const Field& stage, PreTokenizer& steps) {
    if (kind(stage) == "Sequence") {
        for (const Field& item : stage.at("pretokenizers").items()) read_pre_tokenizer(item, steps);
    } else if (kind(stage) == "Split") {
        steps.push_back(read_split(stage));
    } else if (kind(stage) == "ByteLevel") {
        const auto is_byte_level = [](const auto& step) { return std::holds_alternative<ByteLevel>(step); };
        if (std::ranges::any_of(steps, is_byte_level)) stage.refuse("at most one ByteLevel (each doubles the text)");
        if (stage.flag("add_prefix_space", true)) steps.push_back(PrefixMark{" ", false});
        if (stage.flag("use_regex", true))
            steps.push_back(
                Split{Regex(gpt2_pattern, Regex::Kind::expression, stage.where()), Split::Behavior::isolated, false});
        steps.push_back(ByteLevel{});
    } else if (kind(stage) == "Metaspace") {
        read_metaspace(stage, steps);
    } else {
        stage.at("type").refuse("Split, ByteLevel, Metaspace or Sequence");
    }
}

void read_post_processor(const Field& stage, PostProcessor& post_processor) {
    if (kind(stage) == "Sequence") {
        for (const Field& item : stage.at("processors").items()) read_post_processor(item, post_processor);
    } else if (kind(stage) == "ByteLevel") {
        if (stage.flag("trim_offsets", true))
            post_processor.trim_offsets = TrimOffsets{stage.flag("add_prefix_space", true)};
    } else if (kind(stage) == "TemplateProcessing") {
        read_template(stage, post_processor);
    } else {
        stage.at("type").refuse("ByteLevel, TemplateProcessing or Sequence");
    }
}

void read_decoder(const Field& stage, Decoder& steps) {
    if (kind(stage) == "Sequence") {
        for (const Field& item : stage.at("decoders").items()) read_decoder(item, steps);
    } else if (kind(stage) == "ByteLevel") {
        steps.push_back(ByteLevel{});
    } else if (kind(stage) == "Replace") {
        steps.push_back(read_replace(stage));
    } else if (kind(stage) == "ByteFallback") {
        steps.push_back(ByteFallback{});
    } else if (kind(stage) == "Fuse") {
        steps.push_back(Fuse{});
    } else if (kind(stage) == "Strip") {
        steps.push_back(read_strip(stage));
    } else if (kind(stage) == "Metaspace") {
        const Metaspace metaspace = metaspace_of(stage);
        steps.push_back(MarkToSpace{metaspace.mark, metaspace.prefix});
    } else {
        stage.at("type").refuse("ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence");
    }
}

}  // namespace moesweep::text
