// The lists of a model's tensors: what a share leaves out, and which layer a name speaks of.
#include "moesweep/model/model_tensors.h"

#include <catch2/catch.hpp>
#include <set>

#include "tiny_model.h"

using namespace moesweep;

namespace {

/// Slot, expert, name, shape and place elsewhere of a tensor.
std::string text_of(const LayerTensor& tensor) {
    const ExpectedTensor& stored = tensor.stored;
    std::string text = fmt::format("{} {} {} {}", static_cast<int>(tensor.slot), tensor.expert, stored.name,
                                   Json(stored.shape).dump());
    if (stored.elsewhere)
        text += fmt::format(" or {} of {} {}", stored.elsewhere->part, stored.elsewhere->name,
                            Json(stored.elsewhere->shape).dump());
    return text;
}

ModelConfig config_of(const std::string& family) {
    return parse_model_config(Json::parse(tiny_config(family).dump()), "here");
}

}  // namespace

TEST_CASE("a share's list is that of the whole layer without the other experts") {
    const auto family = GENERATE(as<std::string>{}, "qwen3_moe", "mixtral", "glm4_moe");
    const ModelConfig config = config_of(family);
    const std::int64_t E = config.router.num_experts;
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        for (const ExpertShare share : {ExpertShare{0, E}, {0, 0}, {1, 3}, {E - 1, E}}) {
            std::vector<std::string> expected, got;
            for (const LayerTensor& tensor : layer_tensors(config, layer, {0, E}))
                if (tensor.expert < 0 || (tensor.expert >= share.first && tensor.expert < share.end))
                    expected.push_back(text_of(tensor));
            for (const LayerTensor& tensor : layer_tensors(config, layer, share)) got.push_back(text_of(tensor));
            CHECK(got == expected);
        }
}

TEST_CASE("no two tensors of a model have one name, and each of a layer names it") {
    const auto family = GENERATE(as<std::string>{}, "qwen3_moe", "mixtral", "glm4_moe");
    const ModelConfig config = config_of(family);
    std::set<std::string> names;
    const std::vector<ExpectedTensor> all = expected_tensors(config);
    for (const ExpectedTensor& tensor : all) names.insert(tensor.name);
    CHECK(names.size() == all.size());
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        for (const LayerTensor& tensor : layer_tensors(config, layer, {0, config.router.num_experts})) {
            CHECK(layer_named_by(tensor.stored.name) == layer);
            CHECK(names.contains(tensor.stored.name));
        }
    const EndTensors ends = end_tensors(config);
    for (const ExpectedTensor& tensor : {ends.embedding, ends.final_norm, ends.head}) {
        CHECK(!layer_named_by(tensor.name));
        CHECK(names.contains(tensor.name));
    }
}

TEST_CASE("a name that speaks of no layer") {
    CHECK(layer_named_by("model.layers.92.eh_proj.weight") == 92);
    for (const char* name : {"model.layers.", "model.layers.7", "model.layers.-1.x", "model.layers.7x.y", "layers.7.x",
                             "model.layers.99999999999999999999.x"})
        CHECK(!layer_named_by(name));
}
