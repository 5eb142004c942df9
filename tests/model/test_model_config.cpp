#include "moesweep/model/model_config.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "moesweep/model/model_tensors.h"
#include "support.h"

using namespace moesweep;

namespace {

// As on the hub. The newer names (transformers 5) are exchanged for these by newer().
const Json qwen3_30b = Json::parse(R"({"model_type": "qwen3_moe", "attention_bias": false, "decoder_sparse_step": 1,
    "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 6144, "mlp_only_layers": [],
    "moe_intermediate_size": 768, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts": 128,
    "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "rms_norm_eps": 1e-06,
    "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false,
    "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 151936})");
const Json mixtral_8x7b = Json::parse(R"({"model_type": "mixtral", "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "num_local_experts": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
    "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 32000})");
const Json glm_4_5 =
    Json::parse(R"({"model_type": "glm4_moe", "attention_bias": true, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 5120, "partial_rotary_factor": 0.5, "intermediate_size": 12288, "moe_intermediate_size": 1536,
    "n_group": 1, "topk_group": 1, "n_routed_experts": 160, "n_shared_experts": 1, "norm_topk_prob": true,
    "num_attention_heads": 96, "num_experts_per_tok": 8, "num_hidden_layers": 92, "num_key_value_heads": 8,
    "num_nextn_predict_layers": 1, "first_k_dense_replace": 3, "routed_scaling_factor": 2.5, "rms_norm_eps": 1e-05,
    "rope_scaling": null, "rope_theta": 1000000, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "use_qk_norm": true, "vocab_size": 151552})");

Json newer(Json config) {
    Json& rope = config["rope_parameters"] = {{"rope_type", "default"}};
    for (const char* key : {"rope_theta", "partial_rotary_factor"}) {
        if (config.contains(key)) rope[key] = config[key];
        config.erase(key);
    }
    config["dtype"] = config["torch_dtype"];
    config["num_local_experts"] =
        config.value("num_experts", config.value("num_local_experts", config.value("n_routed_experts", 0)));
    for (const char* key : {"rope_scaling", "torch_dtype", "num_experts", "n_routed_experts"}) config.erase(key);
    return config;
}

ModelConfig read(const Json& config) {
    const Scratch scratch;
    std::ofstream(scratch / "config.json") << config;
    return read_model_config(scratch.folder());
}

/// What a change of the configuration is refused for, without the file's name in front.
std::string refusal_of(Json config, const Json& change) {
    const Scratch scratch;
    config.update(change);
    std::ofstream(scratch / "config.json") << config;
    const Failure failure = failure_of([&] { read_model_config(scratch.folder()); });
    CHECK(failure.code == Exit::data);
    const std::string name = (scratch / "config.json").string() + ": ";
    REQUIRE(failure.message.starts_with(name));
    return failure.message.substr(name.size());
}

std::int64_t parameters(const ModelConfig& config) {
    std::int64_t sum = 0;
    for (const auto& tensor : expected_tensors(config)) {
        std::int64_t count = 1;
        for (const auto extent : tensor.shape) count *= extent;
        sum += count;
    }
    return sum;
}

std::string shape_of(const ModelConfig& config, const std::string& name) {
    for (const auto& tensor : expected_tensors(config))
        if (tensor.name == name) return Json(tensor.shape).dump();
    return "none";
}

}  // namespace

TEST_CASE("Qwen3-MoE is read under both names of its fields") {
    const ModelConfig c = read(GENERATE(false, true) ? newer(qwen3_30b) : qwen3_30b);
    CHECK(c.model_type == "qwen3_moe");
    CHECK((c.vocab_size == 151936 && c.hidden_size == 2048 && c.num_hidden_layers == 48 && c.rms_norm_eps == 1e-6));
    CHECK((c.heads.num_attention_heads == 32 && c.heads.num_key_value_heads == 4 && c.heads.head_dim == 128 &&
           c.rope.rotary_dim == 128));
    CHECK((c.rope.rope_theta == 1e6 && c.heads.qk_norm && !c.heads.qkv_bias && !c.heads.output_bias &&
           c.sliding_window == 0));
    CHECK((c.router.num_experts == 128 && c.router.num_experts_per_tok == 8 && c.expert.intermediate_size == 768 &&
           c.shared_expert.intermediate_size == 0));
    CHECK((c.router.score == Score::softmax && c.router.norm_topk_prob && c.router.routed_scaling_factor == 1 &&
           !c.tie_word_embeddings));
    CHECK(c.is_moe == std::vector<bool>(48, true));
    CHECK(parameters(c) == 30'532'122'624);  // half of the bytes that the hub's index states
    CHECK(shape_of(c, "model.layers.47.self_attn.q_proj.weight") == "[4096,2048]");
    CHECK(shape_of(c, "model.layers.47.self_attn.k_norm.weight") == "[128]");
    CHECK(shape_of(c, "model.layers.47.mlp.experts.127.down_proj.weight") == "[2048,768]");
}

TEST_CASE("Mixtral is read under both names of its fields") {
    const ModelConfig c = read(GENERATE(false, true) ? newer(mixtral_8x7b) : mixtral_8x7b);
    CHECK((c.vocab_size == 32000 && c.hidden_size == 4096 && c.num_hidden_layers == 32 && c.rms_norm_eps == 1e-5));
    CHECK((c.heads.num_attention_heads == 32 && c.heads.num_key_value_heads == 8 && c.heads.head_dim == 128 &&
           c.rope.rotary_dim == 128));
    CHECK((c.rope.rope_theta == 1e6 && !c.heads.qk_norm && !c.heads.qkv_bias && c.sliding_window == 0));
    CHECK((c.router.num_experts == 8 && c.router.num_experts_per_tok == 2 && c.expert.intermediate_size == 14336));
    CHECK((c.router.score == Score::softmax && c.router.norm_topk_prob));
    CHECK(c.is_moe == std::vector<bool>(32, true));
    CHECK(parameters(c) == 46'702'792'704);
    CHECK(shape_of(c, "model.layers.31.block_sparse_moe.experts.7.w2.weight") == "[4096,14336]");
    CHECK(shape_of(c, "model.layers.31.block_sparse_moe.gate.weight") == "[8,4096]");
}

TEST_CASE("GLM-4.5 is read under both names of its fields") {
    const ModelConfig c = read(GENERATE(false, true) ? newer(glm_4_5) : glm_4_5);
    CHECK((c.heads.num_attention_heads == 96 && c.heads.num_key_value_heads == 8 && c.heads.head_dim == 128 &&
           c.rope.rotary_dim == 64));
    CHECK((c.rope.rope_theta == 1e6 && c.heads.qk_norm && c.heads.qkv_bias && !c.heads.output_bias));
    CHECK((c.router.num_experts == 160 && c.router.num_experts_per_tok == 8 && c.expert.intermediate_size == 1536));
    CHECK((c.shared_expert.intermediate_size == 1536 && c.dense.intermediate_size == 12288));
    CHECK((c.router.score == Score::sigmoid && c.router.norm_topk_prob && c.router.routed_scaling_factor == 2.5));
    CHECK((c.router.n_group == 1 && c.router.topk_group == 1));
    CHECK(std::count(c.is_moe.begin(), c.is_moe.end(), false) == 3);
    CHECK((!c.is_moe[2] && c.is_moe[3]));
    CHECK(shape_of(c, "model.layers.2.mlp.up_proj.weight") == "[12288,5120]");
    CHECK(shape_of(c, "model.layers.3.mlp.gate.e_score_correction_bias") == "[160]");
    CHECK(shape_of(c, "model.layers.91.self_attn.v_proj.bias") == "[1024]");
    CHECK(shape_of(c, "model.layers.92.input_layernorm.weight") == "none");  // the next-token-prediction layer
}

TEST_CASE("Variants within a family") {
    Json config = qwen3_30b;
    config.update({{"num_hidden_layers", 6},
                   {"decoder_sparse_step", 2},
                   {"mlp_only_layers", {3}},
                   {"tie_word_embeddings", true},
                   {"attention_bias", true},
                   {"use_sliding_window", true},
                   {"sliding_window", 32}});
    ModelConfig c = read(config);
    CHECK(c.is_moe == std::vector<bool>{false, true, false, false, false, true});
    CHECK((c.dense.intermediate_size == 6144 && c.heads.qkv_bias && c.heads.output_bias && c.sliding_window == 32));
    CHECK(shape_of(c, "lm_head.weight") == "[151936,2048]");
    CHECK(shape_of(c, "model.layers.0.self_attn.o_proj.bias") == "[2048]");

    config = qwen3_30b;
    for (const char* key : {"head_dim", "num_key_value_heads", "norm_topk_prob", "rope_theta"}) config.erase(key);
    c = read(config);
    CHECK((c.heads.head_dim == 64 && c.heads.num_key_value_heads == 4 && !c.router.norm_topk_prob &&
           c.rope.rope_theta == 10000));

    config = mixtral_8x7b;
    config["sliding_window"] = 4096;
    CHECK(read(config).sliding_window == 4096);

    config = glm_4_5;
    config.update({{"n_group", 8},
                   {"topk_group", 4},
                   {"n_shared_experts", 2},
                   {"use_qk_norm", false},
                   {"attention_bias", false}});
    c = read(config);
    CHECK((c.router.n_group == 8 && c.router.topk_group == 4 && c.shared_expert.intermediate_size == 3072 &&
           !c.heads.qk_norm && !c.heads.qkv_bias));
}

TEST_CASE("What is not supported or cannot be is refused by name") {
    CHECK(refusal_of(qwen3_30b, {{"model_type", "qwen3"}}) ==
          "model_type: 'qwen3' is not supported, expected one of qwen3_moe, mixtral, glm4_moe");
    CHECK(refusal_of(qwen3_30b, {{"rope_scaling", {{"rope_type", "yarn"}}}}) ==
          "rope_scaling: rope_type: rope scaling 'yarn' is not supported");
    CHECK(refusal_of(newer(glm_4_5), {{"rope_parameters", {{"rope_type", "linear"}}}}) ==
          "rope_parameters: rope_type: rope scaling 'linear' is not supported");
    CHECK(refusal_of(mixtral_8x7b, {{"num_attention_heads", 24}}) ==
          "num_attention_heads: 24 does not divide hidden_size 4096");
    CHECK(refusal_of(mixtral_8x7b, {{"num_experts_per_tok", 9}}) == "num_experts_per_tok: 9 of only 8 experts");
    CHECK(refusal_of(mixtral_8x7b, {{"num_local_experts", 1'000'000}}) ==
          "num_local_experts: expected a whole number from 1 to 10000, got 1000000");
    CHECK(refusal_of(qwen3_30b, {{"mlp_only_layers", {48}}}) == "mlp_only_layers: there is no layer 48");
    CHECK(refusal_of(qwen3_30b, {{"mlp_only_layers", {1.5}}}) == "mlp_only_layers: there is no layer 1.5");
    CHECK(refusal_of(glm_4_5, {{"n_group", 3}}) == "n_group: 160 experts do not fall into 3 groups of two or more");
    CHECK(refusal_of(glm_4_5, {{"n_group", 16}, {"topk_group", 17}}) == "topk_group: 17 of 16 groups");
    CHECK(refusal_of(glm_4_5, {{"n_group", 40}, {"topk_group", 1}}) ==
          "num_experts_per_tok: 8 experts do not fit into 1 groups of 4");
    CHECK(refusal_of(glm_4_5, {{"partial_rotary_factor", 0.01}}) ==
          "head_dim: 1 of 128 head dimensions cannot be rotated");
    CHECK(refusal_of(glm_4_5, {{"first_k_dense_replace", 93}}) == "first_k_dense_replace: 93 of 92 layers");
    CHECK(refusal_of(qwen3_30b, {{"num_local_experts", 64}}) == "num_local_experts: 64, but num_experts is 128");
    CHECK(refusal_of(qwen3_30b, {{"rms_norm_eps", nullptr}}) == "rms_norm_eps: null, expected a value");
    CHECK(refusal_of(qwen3_30b, {{"hidden_act", "gelu"}}) == "hidden_act: 'gelu' is not supported, expected silu");
    CHECK(refusal_of(qwen3_30b, {{"quantization_config", {{"bits", 4}}}}) ==
          "quantization_config: quantised weights are not supported");
    CHECK(refusal_of(qwen3_30b, {{"rms_norm_eps", 0}}) == "rms_norm_eps: must be > 0");
}
