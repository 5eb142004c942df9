// Greedy answers to prompts, many at a time: each step takes the newest tokens of all sequences that are going on
// through the layers once, as a pass (layer_pass.h) takes a sweep's rows. A prompt goes through whole, with the newest
// tokens of the others; a sequence that ends makes room for a prompt that waits. What a sequence answers does not
// depend on its company, to the last bit.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "moesweep/engine/layer_pass.h"
#include "moesweep/model/expert_id.h"

namespace moesweep {

struct Prompt {
    std::vector<std::int32_t> tokens;        ///< one at least
    std::vector<ExpertId> deactivated = {};  ///< for all of its tokens and its answer's
};

/// The gate weights of the routed experts over some tokens of a sequence (arXiv 2603.17102, eq. 1).
struct GateWeights {
    std::vector<double> sum;  ///< [L, E], 0 where an expert was not routed; empty where nothing is captured
    std::int64_t tokens = 0;
};

struct Answer {
    std::vector<std::int32_t> tokens;  ///< the stop token that ended it, if one did, is the last
    std::vector<double> gaps;          ///< of each token: its logit minus the next best one's
    bool stopped = false;              ///< by a stop token
    /// Choices of a deactivated expert, over tokens and layers; without capture, of a prompt's tokens in the last layer
    /// the last one's alone, for nothing depends on the others.
    std::int64_t disobeyed = 0;
    GateWeights of_prompt, of_answer;  ///< over the tokens that were fed: an answer's last one is not
};

struct DecodePlan {
    std::int64_t max_tokens = 1;            ///< of an answer
    std::vector<std::int32_t> stop_tokens;  ///< each ends an answer
    Deactivation deactivate_by = Deactivation::minimum;
    bool capture = false;         ///< gate weights
    std::int64_t cache_rows = 0;  ///< tokens that the sequences in flight hold together; room for the longest
    std::int64_t step_rows = 1;   ///< rows of hidden states of a micro-batch, but for a prompt longer than that
    PassControl control;
};

/// The answers, in the order of the prompts. Every rank of the group calls it, with any number of prompts. Nothing if
/// the group agreed to stop. Error(data) for logits that are not finite, Error(internal) for a prompt that the cache
/// cannot hold.
std::optional<std::vector<Answer>> decode(const Engine& engine, std::span<const Prompt> prompts, const DecodePlan& plan,
                                          Traffic* traffic = nullptr);

/// Tokens of the cache that a prompt's sequence holds.
inline std::int64_t cache_rows_of(std::int64_t prompt_tokens, std::int64_t max_tokens) {
    return prompt_tokens + max_tokens - 1;  // the last token of an answer is not fed
}

}  // namespace moesweep
