#include "moesweep/run/model_inputs.h"

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

ModelInputs open_files(const RunConfig::Model& config, c10::Device device) {
    if (config.path.empty())
        fail(Exit::usage, "model.path: required, set it in the configuration or as --model.path=...");
    ModelConfig model = read_model_config(config.path);
    ModelInputs inputs{model, Tokenizer(config.path), nullptr};
    inputs.weights = std::make_unique<Weights>(config.path, model, config.precision, device);
    return inputs;
}

}  // namespace

ModelInputs open_model(const RunConfig::Model& config, const Comm& world, c10::Device device) {
    std::optional<ModelInputs> inputs;
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

}  // namespace moesweep
