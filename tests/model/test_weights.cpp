#include "catch_beside_torch.h"
#include "stored_model.h"
#include "support.h"

using namespace moesweep;

namespace {

using Names = std::vector<std::string>;

/// The numbers on disk of tensors one after the other.
std::vector<double> stored(const StoredModel& model, const Names& names) {
    std::vector<double> all;
    for (const auto& name : names) {
        const auto& values = model.tensors.at(name);
        all.insert(all.end(), values.begin(), values.end());
    }
    return all;
}

std::vector<double> numbers(const at::Tensor& tensor) {
    const at::Tensor flat = tensor.to(at::kDouble).contiguous();
    return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

void check(const StoredModel& model, const at::Tensor& tensor, std::vector<std::int64_t> shape, const Names& names) {
    INFO(names[0]);
    CHECK(tensor.sizes().vec() == shape);
    CHECK(numbers(tensor) == stored(model, names));
}

void check(const StoredModel& model, const Mlp& mlp, std::int64_t F, const Names& gate_up_down) {
    const std::int64_t D = model.config.hidden_size;
    check(model, mlp.gate_up, {2 * F, D}, {gate_up_down[0], gate_up_down[1]});
    check(model, mlp.down, {D, F}, {gate_up_down[2]});
}

/// The names of a feed-forward's tensors as the hub has them.
Names mlp_names(const std::string& prefix) {
    return {prefix + "gate_proj.weight", prefix + "up_proj.weight", prefix + "down_proj.weight"};
}

void check_attention(const StoredModel& model, const LayerWeights& layer, const std::string& prefix) {
    const ModelConfig& c = model.config;
    const std::int64_t D = c.hidden_size, H = c.heads.num_attention_heads, Hkv = c.heads.num_key_value_heads,
                       Dh = c.heads.head_dim;
    const std::string q = prefix + "q_proj.", k = prefix + "k_proj.", v = prefix + "v_proj.", o = prefix + "o_proj.";
    check(model, layer.qkv, {(H + 2 * Hkv) * Dh, D}, {q + "weight", k + "weight", v + "weight"});
    check(model, layer.output, {D, H * Dh}, {o + "weight"});
    CHECK(layer.qkv_bias.defined() == c.heads.qkv_bias);
    CHECK(layer.output_bias.defined() == c.heads.output_bias);
    CHECK(layer.q_norm.defined() == c.heads.qk_norm);
    if (c.heads.qkv_bias) check(model, layer.qkv_bias, {(H + 2 * Hkv) * Dh}, {q + "bias", k + "bias", v + "bias"});
    if (c.heads.output_bias) check(model, layer.output_bias, {D}, {o + "bias"});
    if (c.heads.qk_norm) check(model, layer.q_norm, {Dh}, {prefix + "q_norm.weight"});
    if (c.heads.qk_norm) check(model, layer.k_norm, {Dh}, {prefix + "k_norm.weight"});
}

void check_moe(const StoredModel& model, const MoeWeights& moe, const std::string& prefix, ExpertShare share) {
    const ModelConfig& c = model.config;
    const bool mixtral = c.model_type == "mixtral";
    const std::string block = prefix + (mixtral ? "block_sparse_moe." : "mlp.");
    check(model, moe.router, {c.router.num_experts, c.hidden_size}, {block + "gate.weight"});
    CHECK(moe.correction_bias.defined() == (c.model_type == "glm4_moe"));
    if (moe.correction_bias.defined())
        check(model, moe.correction_bias, {c.router.num_experts}, {block + "gate.e_score_correction_bias"});
    CHECK(moe.first_expert == share.first);
    REQUIRE(static_cast<std::int64_t>(moe.experts.size()) == share.end - share.first);
    for (std::int64_t e = share.first; e < share.end; ++e) {
        const std::string expert = block + "experts." + std::to_string(e) + ".";
        check(model, moe.experts[static_cast<std::size_t>(e - share.first)], c.expert.intermediate_size,
              mixtral ? Names{expert + "w1.weight", expert + "w3.weight", expert + "w2.weight"} : mlp_names(expert));
    }
    CHECK(moe.shared.has_value() == (c.model_type == "glm4_moe"));
    if (moe.shared) check(model, *moe.shared, c.shared_expert.intermediate_size, mlp_names(block + "shared_experts."));
}

void check_layer(const StoredModel& model, const LayerWeights& layer, std::int64_t index, ExpertShare share) {
    const std::string prefix = "model.layers." + std::to_string(index) + ".";
    check(model, layer.input_norm, {model.config.hidden_size}, {prefix + "input_layernorm.weight"});
    check(model, layer.post_attention_norm, {model.config.hidden_size}, {prefix + "post_attention_layernorm.weight"});
    check_attention(model, layer, prefix + "self_attn.");
    REQUIRE(layer.moe.has_value() == model.config.is_moe[static_cast<std::size_t>(index)]);
    REQUIRE(layer.dense.has_value() != layer.moe.has_value());
    if (layer.moe) check_moe(model, *layer.moe, prefix, share);
    if (layer.dense) check(model, *layer.dense, model.config.dense.intermediate_size, mlp_names(prefix + "mlp."));
}

Json family_with_biases(const std::string& family) {
    Json json = tiny_config(family);
    if (family == "qwen3_moe") json["attention_bias"] = true;
    return json;
}

}  // namespace

TEST_CASE("Shares in order cover all experts, and their sizes differ by one at most") {
    for (const std::int64_t experts : {1, 5, 8, 60, 128}) {
        for (std::int64_t ranks = 1; ranks <= 9; ++ranks) {
            std::int64_t next = 0;
            for (std::int64_t rank = 0; rank < ranks; ++rank) {
                const ExpertShare share = expert_share(experts, rank, ranks);
                REQUIRE(share.first == next);
                const std::int64_t size = share.end - share.first;
                REQUIRE((size == experts / ranks || size == (experts + ranks - 1) / ranks));
                next = share.end;
            }
            REQUIRE(next == experts);
        }
    }
}

TEST_CASE("A layer of any family and share holds the numbers on disk, whatever their type and place") {
    const auto family = GENERATE(as<std::string>{}, "qwen3_moe", "mixtral", "glm4_moe");
    const auto layout = GENERATE(ExpertLayout::single, ExpertLayout::fused);
    const Scratch scratch;
    for (const Precision precision : {Precision::fp32, Precision::fp64, Precision::split}) {
        const auto dtypes = precision == Precision::split ? Names{"BF16"} : Names{"F32", "BF16", "F16"};
        const StoredModel model = write_stored_model(scratch.folder(), family_with_biases(family), 3, dtypes, layout);
        const std::int64_t E = model.config.router.num_experts;
        const Weights weights(scratch.folder(), model.config, precision);
        for (const ExpertShare share : {ExpertShare{0, E}, {1, E - 1}, {2, 2}, {E - 1, E}})
            for (std::int64_t l = 0; l < model.config.num_hidden_layers; ++l)
                check_layer(model, weights.layer(l, share), l, share);
        CHECK(weights.layer(0).input_norm.scalar_type() == (precision == Precision::fp64 ? at::kDouble : at::kFloat));
        CHECK(weights.layer(0).qkv.scalar_type() == (precision == Precision::fp64    ? at::kDouble
                                                     : precision == Precision::split ? at::kBFloat16
                                                                                     : at::kFloat));
        check(model, weights.final_norm(), {model.config.hidden_size}, {"model.norm.weight"});
    }
}

TEST_CASE("Layers of many pieces are whole") {
    // An expert takes up to 5.8 MB, and so odd a number of elements that those of four bytes lie across the ends of
    // pieces.
    Json json = tiny_config("mixtral");
    json.update(
        {{"hidden_size", 401}, {"intermediate_size", 1201}, {"num_local_experts", 6}, {"num_hidden_layers", 1}});
    const Scratch scratch;
    for (const auto layout : {ExpertLayout::single, ExpertLayout::fused}) {
        const StoredModel model = write_stored_model(scratch.folder(), json, 4, {"F32", "BF16", "F16"}, layout);
        const Weights weights(scratch.folder(), model.config, Precision::fp32);
        for (const ExpertShare share : {ExpertShare{0, 6}, {2, 5}})
            check_layer(model, weights.layer(0, share), 0, share);
    }
}

TEST_CASE("A layer's tensors begin at multiples of 64 bytes, as the matrix products like it") {
    const Scratch scratch;
    const StoredModel model = write_stored_model(scratch.folder(), tiny_config("glm4_moe"), 3, {"BF16"});
    for (const Precision precision : {Precision::fp32, Precision::fp64, Precision::split})
        for (const auto& tensor : tensors_of(Weights(scratch.folder(), model.config, precision).layer(2)))
            CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 64 == 0);
}

TEST_CASE("Every finite bf16 and fp16 becomes the number that torch makes of it, every other is refused") {
    const Scratch scratch;
    Json json = tiny_config("mixtral");
    json.update({{"vocab_size", 1024}, {"hidden_size", 64}});
    const auto dtype = GENERATE(as<std::string>{}, "BF16", "F16");
    std::vector<std::int32_t> all_rows(1024);
    std::iota(all_rows.begin(), all_rows.end(), 0);
    unsigned seed = 0;  // until the embedding gets the type in question
    StoredModel model;
    do model = write_stored_model(scratch.folder(), json, ++seed);
    while (model.places["model.embed_tokens.weight"].dtype != dtype);
    const auto& place = model.places["model.embed_tokens.weight"];

    std::string bytes;
    std::vector<float> expected;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const float value = dtype == "F16" ? static_cast<float>(c10::Half(half, c10::Half::from_bits()))
                                           : static_cast<float>(c10::BFloat16(half, c10::BFloat16::from_bits()));
        expected.push_back(std::isfinite(value) ? value : 0);
        bytes += static_cast<char>(std::isfinite(value) ? bits & 0xff : 0);
        bytes += static_cast<char>(std::isfinite(value) ? bits >> 8 : 0);
    }
    overwrite(place.file, place.offset, bytes);
    const Weights weights(scratch.folder(), model.config, Precision::fp32);
    const at::Tensor read = weights.embed(all_rows);
    CHECK(std::memcmp(read.data_ptr<float>(), expected.data(), sizeof(float) * expected.size()) == 0);

    const unsigned exponent = dtype == "F16" ? 0x7c00 : 0x7f80, patterns = dtype == "F16" ? 0x400 : 0x80;
    for (unsigned mantissa = 0; mantissa < patterns; ++mantissa) {
        const unsigned bits = exponent | mantissa | (mantissa % 2 == 0 ? 0x8000 : 0);
        overwrite(place.file, place.offset + 2 * 64 * 7,
                  {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)});
        REQUIRE(failure_of([&] { weights.embed(std::vector{7}); }).message ==
                place.file.string() + ": model.embed_tokens.weight: holds a NaN or an infinity");
    }
    CHECK(failure_of([&] { weights.embed(std::vector{6, 8}); }).code == Exit::done);
}

TEST_CASE("Rows of the embedding and of the head are those asked for, in order") {
    const Scratch scratch;
    const StoredModel model = write_stored_model(scratch.folder(), tiny_config("glm4_moe"), 5);
    const Weights weights(scratch.folder(), model.config, Precision::fp64);
    const std::int64_t D = model.config.hidden_size;
    for (const auto& [name, rows] : {std::pair{"model.embed_tokens.weight", weights.embed(std::vector{60, 0, 60, 7})},
                                     {"lm_head.weight", weights.head(std::vector{60, 0, 60, 7})}}) {
        std::vector<double> expected;
        for (const std::int64_t id : {60, 0, 60, 7})
            for (std::int64_t d = 0; d < D; ++d)
                expected.push_back(model.tensors.at(name)[static_cast<std::size_t>(id * D + d)]);
        CHECK(numbers(rows) == expected);
        CHECK(rows.sizes().vec() == std::vector<std::int64_t>{4, D});
    }
    CHECK(weights.embed({}).size(0) == 0);
    const std::string head = model.places.at("lm_head.weight").file.string() + ": lm_head.weight: ";
    CHECK(failure_of([&] { weights.head(std::vector{1, 61}); }).message == head + "token id 61 is beyond its 61 rows");
    CHECK(failure_of([&] { weights.head(std::vector{-1}); }).message == head + "token id -1 is beyond its 61 rows");
}

TEST_CASE("The embedding's deviation is that of all its elements, however its blocks are divided") {
    const Scratch scratch;
    Json json = tiny_config("mixtral");
    json["vocab_size"] = 1100;
    const StoredModel model = write_stored_model(scratch.folder(), json, 6);
    const Weights weights(scratch.folder(), model.config, Precision::fp32);
    const std::int64_t blocks = weights.embedding_blocks();
    REQUIRE(blocks > 3);
    const std::vector<double> whole = weights.embedding_sums(0, blocks);
    CHECK(static_cast<std::int64_t>(whole.size()) == 2 * blocks);
    std::vector<double> parts;
    for (const auto& [first, end] : {std::pair{0, 1}, {1, 1}, {1, 3}, {3, static_cast<int>(blocks)}})
        for (const double sum : weights.embedding_sums(first, end)) parts.push_back(sum);
    CHECK(parts == whole);

    const auto& values = model.tensors.at("model.embed_tokens.weight");
    long double mean = 0, squares = 0;
    for (const double value : values) mean += value;
    mean /= static_cast<long double>(values.size());
    for (const double value : values) squares += (value - mean) * (value - mean);
    const auto expected = static_cast<double>(std::sqrt(squares / static_cast<long double>(values.size() - 1)));
    CHECK(weights.embedding_std() == Approx(expected).epsilon(1e-12));
    CHECK(weights.embedding_std(parts) == weights.embedding_std());
}

TEST_CASE("A head that is to be tied to the embedding is read where it is stored, and told if it differs") {
    const Scratch scratch;
    Json json = tiny_config("glm4_moe");
    json["vocab_size"] = 700;  // three blocks
    const StoredModel model = write_stored_model(scratch.folder(), json, 5, {"BF16"});
    ModelConfig tied = model.config;
    tied.tie_word_embeddings = true;
    const std::vector<std::int32_t> ids = {0, 699};
    const auto &embedding = model.places.at("model.embed_tokens.weight"), &head = model.places.at("lm_head.weight");
    {
        const Weights weights(scratch.folder(), tied, Precision::fp32),
            untied(scratch.folder(), model.config, Precision::fp32);
        CHECK(at::equal(weights.head(ids), untied.head(ids)));
        CHECK(!at::equal(weights.head(ids), weights.embed(ids)));
        CHECK(weights.embedding_std() == untied.embedding_std());
        CHECK((weights.tied_head_differs(0, 3) && !untied.tied_head_differs(0, 3)));
        CHECK(weights.tied_head_note() ==
              head.file.string() +
                  ": lm_head.weight: other numbers than model.embed_tokens.weight, though config.json says "
                  "tie_word_embeddings: it is the head, as in transformers");
    }
    const std::string numbers = bytes_at(embedding.file, embedding.offset, model.bytes.at("model.embed_tokens.weight"));
    overwrite(head.file, head.offset, numbers);
    const Weights weights(scratch.folder(), tied, Precision::fp32);
    CHECK(!weights.tied_head_differs(0, 3));
    CHECK(at::equal(weights.head(ids), weights.embed(ids)));
    const auto last = static_cast<char>(numbers.back() ^ 1);
    overwrite(head.file, head.offset + numbers.size() - 1, {last});  // in the last block
    CHECK((!weights.tied_head_differs(0, 2) && weights.tied_head_differs(2, 3)));
}

TEST_CASE("A layer or a share that is not there is our own mistake") {
    const Scratch scratch;
    const StoredModel model = write_stored_model(scratch.folder(), tiny_config("mixtral"), 5);
    const Weights weights(scratch.folder(), model.config, Precision::fp32);
    CHECK(failure_of([&] { weights.layer(4); }).message == "layer 4 of 4 asked for");
    CHECK(failure_of([&] { weights.layer(-1); }).code == Exit::internal);
    CHECK(failure_of([&] { weights.layer(0, {3, 6}); }).message == "experts [3, 6) of 5 asked for");
    CHECK(failure_of([&] { weights.layer(0, {-1, 2}); }).code == Exit::internal);
    CHECK(failure_of([&] { weights.layer(0, {2, 1}); }).code == Exit::internal);
}
