// The architecture in one page: a decoder-only MoE transformer as config.json describes it. Field names are Hugging
// Face's, and what comes in variants stands in a small struct, which is all that the code for it takes. Each family
// (src/model/families/) has its own defaults, and fills in what its config.json says or implies; nothing else asks for
// the family.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/base/json.h"

namespace moesweep {

/// Grouped-query attention.
struct Heads {
    std::int64_t num_attention_heads = 0;  ///< H
    std::int64_t num_key_value_heads = 0;  ///< Hkv
    std::int64_t head_dim = 0;             ///< Dh
    bool qkv_bias = false, output_bias = false;
    bool qk_norm = false;  ///< RMSNorm over each head of q and k before the rotation
};

/// Rotary position embedding.
struct Rope {
    std::int64_t rotary_dim = 0;  ///< leading head dimensions that are rotated, in two halves
    double rope_theta = 0;
};

/// What a router's choice compares.
enum class Score {
    softmax,  ///< softmax(logits)
    sigmoid,  ///< sigmoid(logits) + correction bias, within the best groups; the bias does not weigh
};

struct Router {
    std::int64_t num_experts = 0;          ///< E
    std::int64_t num_experts_per_tok = 0;  ///< K
    Score score = Score::softmax;
    bool norm_topk_prob = true;           ///< the K weights are divided by their sum
    bool weights_in_model_dtype = false;  ///< rounded to the model's dtype, where other families keep fp32 (parity)
    double routed_scaling_factor = 1;
    std::int64_t n_group = 1, topk_group = 1;
};

/// How an expert is kept from a row. Of softmax scores with renormalised weights all three give the same weights.
enum class Deactivation {
    minimum,         ///< its logit becomes the least of its row (arXiv 2603.17102, section 6.1)
    minus_infinity,  ///< its logit becomes -inf
    ban,             ///< skipped in the choice of the top K; all scores stay as they are
};

/// A SwiGLU feed-forward.
struct FeedForward {
    std::int64_t intermediate_size = 0;  ///< F, 0 = none
};

struct ModelConfig {
    std::string model_type;  ///< the family
    std::int64_t vocab_size = 0;
    std::int64_t hidden_size = 0;        ///< D
    std::int64_t num_hidden_layers = 0;  ///< L
    double rms_norm_eps = 0;
    bool tie_word_embeddings = false;

    Heads heads;
    Rope rope;
    std::int64_t sliding_window = 0;  ///< longest prompt that attends to all of itself; 0 = no window

    std::vector<bool> is_moe;  ///< per layer: a MoE block, else a dense one
    FeedForward dense, expert, shared_expert;
    Router router;
};

/// Reads MODEL/config.json. What it leaves out has the value that transformers' class of the family gives it.
/// Error(data) names the field that is out of range, is null where that is no value, contradicts another, or asks for
/// something that is not supported (rope scaling, quantised weights, an activation other than silu, an unknown family).
ModelConfig read_model_config(const std::filesystem::path& model_folder);
/// The same of its contents; `file` is its name in messages.
ModelConfig parse_model_config(const Json& json, const std::string& file);

/// All that the numbers of a model with given weights depend on, by name: the fields above.
std::vector<std::pair<std::string, std::string>> architecture(const ModelConfig& config);

}  // namespace moesweep
