// Definitions of a tokenizer.json that fit on a page, one of each kind.
#pragma once
#include "moesweep/base/json.h"

namespace moesweep {

/// SentencePiece kind over a and b, with the two bytes of U+00E9 to fall back to.
inline Json mark_tokenizer() {
    return Json::parse(R"({
        "version": "1.0", "truncation": null, "padding": null, "decoder": null, "pre_tokenizer": null,
        "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false},
                         {"id": 1, "content": "<s>", "special": true, "normalized": false},
                         {"id": 9, "content": "[L]", "special": false, "normalized": false, "lstrip": true}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": {"<unk>": 0, "<s>": 1, "▁": 2, "a": 3, "b": 4, "ab": 5, "▁ab": 6, "<0xC3>": 7, "<0xA9>": 8},
            "merges": [["a", "b"], "▁ ab"]}})");
}

/// Byte-level kind over a, b, space and the two bytes of U+00E9, with NFC.
inline Json byte_tokenizer() {
    return Json::parse(R"({
        "added_tokens": [{"id": 8, "content": "<end>", "special": true, "normalized": false}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": " ?\\p{L}+|\\s+"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ã": 3, "©": 4, "ab": 5, "Ġab": 6, "b©": 7},
            "merges": ["a b", "Ġ ab"]}})");
}

}  // namespace moesweep
