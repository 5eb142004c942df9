#include "families.h"

namespace moesweep {
namespace {

constexpr const Family* families[] = {&qwen3_moe, &mixtral, &glm4_moe};

}  // namespace

const Family* find_family(const std::string& model_type) {
    for (const Family* family : families)
        if (family->defaults.model_type == model_type) return family;
    return nullptr;
}

std::string family_names() {
    std::string names;
    for (const Family* family : families) names += (names.empty() ? "" : ", ") + family->defaults.model_type;
    return names;
}

std::vector<LayerTensor> layer_tensors(const ModelConfig& config, std::int64_t layer, ExpertShare share) {
    const Family* family = find_family(config.model_type);
    if (!family) fail(Exit::internal, "there is no family '{}'", config.model_type);
    TensorList list(config, layer);
    list.add_norms_and_attention();
    if (config.is_moe[static_cast<std::size_t>(layer)])
        family->list_moe(list, share);
    else
        list.add_dense();
    return std::move(list).tensors();
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
    EndTensors ends = end_tensors(config);
    std::vector<ExpectedTensor> all = {std::move(ends.embedding), std::move(ends.final_norm), std::move(ends.head)};
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
        for (LayerTensor& tensor : layer_tensors(config, layer, {0, config.router.num_experts}))
            all.push_back(std::move(tensor.stored));
    return all;
}

}  // namespace moesweep
