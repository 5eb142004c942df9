// The architecture in one page: a decoder-only MoE transformer as config.json describes it. Field names are Hugging
// Face's. Each family (src/model/families/) has its own defaults, and fills in what its config.json says or implies;
// nothing else asks for the family.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moesweep/base/json.h"

namespace moesweep {

enum class Router {
    softmax,  ///< top-k of softmax(logits)
    sigmoid,  ///< top-k of sigmoid(logits) + correction bias, within the best groups; the bias selects and does not weigh
};

struct ModelConfig {
    std::string model_type;  ///< the family
    std::int64_t vocab_size = 0;
    std::int64_t hidden_size = 0;        ///< D
    std::int64_t num_hidden_layers = 0;  ///< L
    double rms_norm_eps = 0;
    bool tie_word_embeddings = false;

    // attention
    std::int64_t num_attention_heads = 0;  ///< H
    std::int64_t num_key_value_heads = 0;  ///< Hkv
    std::int64_t head_dim = 0;             ///< Dh
    std::int64_t rotary_dim = 0;           ///< leading head dimensions that are rotated, in two halves
    double rope_theta = 0;
    bool qkv_bias = false, output_bias = false;
    bool qk_norm = false;             ///< RMSNorm over each head of q and k before the rotation
    std::int64_t sliding_window = 0;  ///< longest prompt that attends to all of itself; 0 = no window

    // feed-forward
    std::vector<bool> is_moe;                   ///< per layer: a MoE block, else a dense one
    std::int64_t intermediate_size = 0;         ///< F of a dense layer
    std::int64_t moe_intermediate_size = 0;     ///< F of an expert
    std::int64_t num_experts = 0;               ///< E
    std::int64_t num_experts_per_tok = 0;       ///< K
    std::int64_t shared_intermediate_size = 0;  ///< F of the shared expert, 0 = none
    Router router = Router::softmax;
    bool norm_topk_prob = true;           ///< the K weights are divided by their sum
    bool weights_in_model_dtype = false;  ///< rounded to the model's dtype, where other families keep fp32 (parity)
    double routed_scaling_factor = 1;
    std::int64_t n_group = 1, topk_group = 1;

    /// Names of a MoE block's tensors below "model.layers.N."; "{}" is the expert.
    struct MoeNames {
        std::string router = "mlp.gate.weight";
        std::string correction_bias = "mlp.gate.e_score_correction_bias";
        std::string gate = "mlp.experts.{}.gate_proj.weight";
        std::string up = "mlp.experts.{}.up_proj.weight";
        std::string down = "mlp.experts.{}.down_proj.weight";
    } names;
};

/// Reads MODEL/config.json. What it leaves out has the value that transformers' class of the family gives it.
/// Error(data) names the field that is out of range, is null where that is no value, contradicts another, or asks for
/// something that is not supported (rope scaling, quantised weights, an activation other than silu, an unknown family).
ModelConfig read_model_config(const std::filesystem::path& model_folder);
/// The same of its contents; `file` is its name in messages.
ModelConfig parse_model_config(const Json& json, const std::string& file);

/// All that the numbers of a model with given weights depend on, by name: the fields above but the tensors' names.
std::vector<std::pair<std::string, std::string>> architecture(const ModelConfig& config);

/// A tensor that a checkpoint of this architecture must hold, under its name or elsewhere.
struct ExpectedTensor {
    std::string name;
    std::vector<std::int64_t> shape;

    /// Another stored tensor of which it is a part, where parts are as many elements in their order as its shape has:
    /// all of a tied matrix, a slice of fused experts.
    struct Elsewhere {
        std::string name;
        std::vector<std::int64_t> shape;
        std::int64_t part = 0;
    };
    std::optional<Elsewhere> elsewhere = {};
};
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

/// config.json as the families see it. Each read() leaves `value`, the family's default, as it is where config.json
/// lacks the field; a field with two names must not have two values. One line per mistake.
class ConfigReader {
  public:
    using Names = std::initializer_list<const char*>;
    static constexpr std::int64_t most_of_any = 1'000'000'000;

    ConfigReader(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {}
    /// A whole number from 1 to `most`, which stands between a mistake and all of the memory.
    void read(Names names, std::int64_t& value, std::int64_t most = most_of_any) const;
    void read(const char* key, std::int64_t& value) const { read(Names{key}, value); }
    void read(const char* key, double& value) const { value = get_or(key, value); }
    void read(const char* key, bool& value) const { value = get_or(key, value); }
    /// The same, where null is a value: 0, "none".
    void read_optional(const char* key, std::int64_t& value) const;
    /// rope_theta or partial_rotary_factor: inside rope_parameters (or rope_scaling), else at the top.
    void read_rope(const char* key, double& value) const;
    template <class T>
    T get_or(const std::string& key, T otherwise) const {
        if (!json_.contains(key)) return otherwise;
        if (json_.at(key).is_null()) refuse(key, "null, expected a value");
        return get_field<T>(json_, key, file_);
    }
    /// The items of a list; none where there is no such field.
    Json list(const std::string& key) const;
    /// Neither left out nor null, {} or [].
    bool has(const std::string& key) const { return json_.contains(key) && !json_.at(key).empty(); }
    template <class... Args>
    [[noreturn]] void refuse(const std::string& key, fmt::format_string<Args...> why, Args&&... args) const {
        fail(Exit::data, "{}: {}: {}", file_, key, fmt::format(why, std::forward<Args>(args)...));
    }

  private:
    Json json_;
    std::string file_;
};

}  // namespace moesweep
