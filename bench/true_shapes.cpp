#include "true_shapes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "moesweep/base/files.h"
#include "moesweep/model/model_tensors.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;
using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// The fields of the models' config.json that matter here.
constexpr const char* qwen3 = R"({"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
    "moe_intermediate_size": 768, "num_experts": 128,
    "num_experts_per_tok": 8, "norm_topk_prob": true, "rms_norm_eps": 1e-6, "rope_theta": 1e6})";
constexpr const char* mixtral = R"({"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8,
    "num_experts_per_tok": 2, "rms_norm_eps": 1e-5, "rope_theta": 1e6})";
constexpr const char* glm4 = R"({"model_type": "glm4_moe", "hidden_size": 4096, "num_hidden_layers": 46,
    "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128, "partial_rotary_factor": 0.5,
    "attention_bias": true, "intermediate_size": 10944, "moe_intermediate_size": 1408, "first_k_dense_replace": 1,
    "n_routed_experts": 128, "n_shared_experts": 1, "num_experts_per_tok": 8, "norm_topk_prob": true,
    "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "rms_norm_eps": 1e-5, "rope_theta": 1e6})";
constexpr const char* small = R"({"model_type": "qwen3_moe", "hidden_size": 256, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 32,
    "moe_intermediate_size": 96, "num_experts": 128,
    "num_experts_per_tok": 8, "norm_topk_prob": true, "rms_norm_eps": 1e-6, "rope_theta": 1e6})";
const std::map<std::string, const char*> known_shapes = {
    {"qwen3", qwen3}, {"mixtral", mixtral}, {"glm4", glm4}, {"small", small}};

std::int64_t product(const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const auto extent : shape) count *= extent;
    return count;
}

bool is_of_layer(const std::string& name) {
    return name.starts_with("model.layers.");
}

void write_shard(const fs::path& path, const Shapes& shapes, bool hollow) {
    Json header;
    std::size_t end = 0;
    for (const auto& [name, shape] : shapes) {
        const std::size_t begin = end;
        end += 2 * static_cast<std::size_t>(product(shape));
        header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {begin, end}}};
    }
    const std::string text = header.dump();
    const auto length = std::bit_cast<std::array<char, 8>>(std::uint64_t{text.size()});
    std::ofstream file(path, std::ios::binary);
    file.write(length.data(), length.size()) << text;

    constexpr std::size_t piece = std::size_t{4} << 20;
    std::mt19937_64 random(end);
    std::vector<std::uint64_t> numbers(piece / 8);
    for (std::size_t done = 0; done < end && !hollow; done += piece) {
        for (auto& four : numbers) four = (random() & 0x83ff83ff83ff83ff) | 0x3c003c003c003c00;
        file.write(reinterpret_cast<const char*>(numbers.data()),
                   static_cast<std::streamsize>(std::min(piece, end - done)));
    }
    if (!file.flush()) fail(Exit::io, "{}: cannot be written", path.string());
    if (hollow) fs::resize_file(path, length.size() + text.size() + end);
}

/// FNV-1a: the same on every machine.
std::uint64_t hash(const std::string& name) {
    std::uint64_t h = 0xcbf29ce484222325;
    for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return h;
}

}  // namespace

Json shape_of(const std::string& model, std::int64_t layers) {
    const auto known = known_shapes.find(model);
    if (known == known_shapes.end() && !fs::exists(model))
        fail(Exit::usage, "'{}': expected qwen3, mixtral, glm4, small, or a config.json", model);
    Json config = parse_json(known != known_shapes.end() ? known->second : read_file(model), model);
    config["vocab_size"] = 1024;
    if (layers > 0) config["num_hidden_layers"] = layers;
    return config;
}

double operations_per_row(const ModelConfig& config, std::int64_t layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    double operations = 0;
    for (const auto& [name, shape, elsewhere] : expected_tensors(config)) {
        if (!name.starts_with(prefix) || shape.size() < 2) continue;
        const bool of_expert = name.find(".experts.") != std::string::npos;
        const double used = double(config.router.num_experts_per_tok) / double(config.router.num_experts);
        operations += 2 * double(product(shape)) * (of_expert ? used : 1);
    }
    return operations;
}

void write_checkpoint(const fs::path& folder, const Json& config, Layers layers) {
    make_writable_folder(folder);
    const fs::path config_file = folder / "config.json";
    std::ofstream(config_file) << config.dump(1);
    std::map<std::string, Shapes> shards;
    Json index;
    for (const auto& [name, shape, elsewhere] : expected_tensors(parse_model_config(config, config_file.string()))) {
        const std::string file =
            is_of_layer(name) ? fmt::format("layer-{}.safetensors", std::stoi(name.substr(13))) : "ends.safetensors";
        index["weight_map"][name] = file;
        shards[file][name] = shape;
    }
    for (const auto& [file, shapes] : shards)
        write_shard(folder / file, shapes, layers == Layers::hollow && is_of_layer(shapes.begin()->first));
    std::ofstream(folder / "model.safetensors.index.json") << index.dump();
}

void draw_weights(std::uint64_t seed, const std::string& name, const at::Tensor& values) {
    if (values.dim() == 1) return void(values.fill_(name.ends_with("norm.weight") ? 1 : 0));
    at::Generator generator = at::globalContext().defaultGenerator(values.device());
    generator.set_current_seed(seed ^ hash(name));
    values.normal_(0, 1 / std::sqrt(double(values.size(-1))), generator);
}

}  // namespace moesweep
