#include "moesweep/base/files.h"
#include "moesweep/tracing/protocol.h"
#include "moesweep/base/version.h"

namespace moesweep {
namespace {

void require(const std::string& value, const char* key) {
    if (value.empty()) fail(Exit::usage, "{}: required, set it in the configuration or as --{}=...", key, key);
}

Inputs open_files(const Config& config, c10::Device device) {
    require(config.model.path, "model.path");
    require(config.cases.path, "cases.path");
    ModelConfig model = read_model_config(config.model.path);
    sweep_sites(config, model);  // refuses layers that are not there
    Inputs inputs{model, Tokenizer(config.model.path), read_facts(config.cases.path), {}, nullptr};
    inputs.order = scan_order(inputs.facts.size(), config.cases.seed);
    inputs.weights = std::make_unique<Weights>(config.model.path, model, config.model.precision, device);
    return inputs;
}

}  // namespace

Inputs open_inputs(const Config& config, const Comm& world, c10::Device device) {
    std::optional<Inputs> inputs;
    world.together([&] { inputs = open_files(config, device); });
    const Weights& weights = *inputs->weights;
    const std::int64_t blocks = weights.embedding_blocks(), rank = world.rank(), ranks = world.size();
    const std::int64_t first = blocks * rank / ranks, end = blocks * (rank + 1) / ranks;
    std::vector<double> sums;
    bool differs = false;
    world.together([&] {
        sums = weights.embedding_sums(first, end);
        differs = weights.tied_head_differs(first, end);
    });
    inputs->embedding_std = weights.embedding_std(world.gather_all(sums));
    inputs->notes = weights.checkpoint().notes();
    if (const std::string note = inputs->tokenizer.note(); !note.empty()) inputs->notes.push_back(note);
    if (world.any(differs)) inputs->notes.push_back(weights.tied_head_note());
    return std::move(*inputs);
}

Attributes describe(const Config& config, const Inputs& inputs, const Identity& identity) {
    const ModelConfig& m = inputs.model;
    Attributes meta = {{"version", version}, {"model_type", m.model_type}};
    for (const auto& [key, value] : {std::pair{"num_hidden_layers", m.num_hidden_layers},
                                     {"hidden_size", m.hidden_size},
                                     {"num_attention_heads", m.num_attention_heads},
                                     {"num_key_value_heads", m.num_key_value_heads},
                                     {"num_experts", m.num_experts},
                                     {"num_experts_per_tok", m.num_experts_per_tok},
                                     {"moe_intermediate_size", m.moe_intermediate_size},
                                     {"vocab_size", m.vocab_size}})
        meta.emplace_back(key, std::to_string(value));
    const auto bos = bos_token(inputs.tokenizer, config.model.bos);
    meta.emplace_back("bos", bos ? std::to_string(*bos) : "none");
    meta.emplace_back("sigma", fmt::format("{}", config.noise.scale * inputs.embedding_std));
    meta.emplace_back("weights_sha256", identity.weights_sha256);
    meta.emplace_back("tokenizer_sha256", identity.tokenizer_sha256);
    meta.emplace_back("facts_sha256", identity.facts_sha256);
    return meta;
}

}  // namespace moesweep
