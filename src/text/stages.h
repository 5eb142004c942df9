// Reads the stages of a tokenizer.json around its model. Each function appends the steps that a stage stands for;
// Error(data) names the field of a stage that is malformed or of a kind that is not supported.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "decoder.h"
#include "field.h"
#include "normalizer.h"
#include "pre_tokenizer.h"

namespace moesweep::text {

/// The byte-level post-processor's cut of white space from offsets.
struct TrimOffsets {
    bool add_prefix_space;  ///< a single leading space of the first token was added by us: nothing to cut
};

struct PostProcessor {
    std::optional<TrimOffsets> trim_offsets;
    std::vector<std::int32_t> prefix;  ///< ids put before a single text
};

void read_normalizer(const Field& stage, Normalizer& steps);
void read_pre_tokenizer(const Field& stage, PreTokenizer& steps);
void read_post_processor(const Field& stage, PostProcessor& post_processor);
void read_decoder(const Field& stage, Decoder& steps);

}  // namespace moesweep::text
