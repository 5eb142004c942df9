#include "stored_model.h"

#include <ATen/ATen.h>

#include <cstring>
#include <fstream>
#include <random>

namespace moesweep {
namespace {

template <class T>
std::string bytes_of(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

/// Stores a number as a type, by torch's own conversion, and sets it to what is read back.
std::string store(const std::string& dtype, double& value) {
    const auto single = static_cast<float>(value);
    if (dtype == "F32") return value = single, bytes_of(single);
    if (dtype == "F16") {
        const c10::Half half(single);
        return value = static_cast<float>(half), bytes_of(half.x);
    }
    const c10::BFloat16 half(single);
    return value = static_cast<float>(half), bytes_of(half.x);
}

/// A tensor as it is stored: one of the model's, or several one after the other.
struct Item {
    std::vector<std::int64_t> shape;
    std::vector<std::string> parts;
};

std::map<std::string, Item> items_of(const StoredModel& model, ExpertLayout layout) {
    std::map<std::string, Item> items;
    for (const auto& [name, shape, elsewhere] : expected_tensors(model.config)) {
        if (!model.tensors.contains(name)) continue;  // a tied head
        const bool fused = layout == ExpertLayout::fused && elsewhere && name.starts_with("model.layers.");
        Item& item = items[fused ? elsewhere->name : name];
        item.shape = fused ? elsewhere->shape : shape;
        item.parts.push_back(name);  // they come in their order
    }
    return items;
}

}  // namespace

StoredModel write_stored_model(const std::filesystem::path& folder, const Json& config_json, unsigned seed,
                               const std::vector<std::string>& dtypes, ExpertLayout layout) {
    TinyModel tiny = write_tiny_model(folder, config_json, seed);
    std::filesystem::remove(folder / "model.safetensors");
    StoredModel model{tiny.config, std::move(tiny.tensors), {}, {}};

    std::mt19937 random(seed);
    std::map<std::string, Item> items = items_of(model, layout);
    std::vector<std::string> order;
    for (const auto& [name, item] : items) order.push_back(name);
    std::shuffle(order.begin(), order.end(), random);

    const std::string files[] = {"one.safetensors", "two.safetensors"};
    Json index;
    for (std::size_t shard = 0; shard < 2; ++shard) {
        std::string data = "odd";  // so that nothing after it is aligned
        Json header = {{"odd" + std::to_string(shard), {{"dtype", "U8"}, {"shape", {3}}, {"data_offsets", {0, 3}}}}};
        for (std::size_t i = 0; i < order.size(); ++i) {
            if ((i * 5 / order.size() % 2) != shard) continue;  // alternating runs of neighbours
            const std::string &name = order[i], &dtype = dtypes[random() % dtypes.size()];
            const std::size_t begin = data.size();
            for (const std::string& part : items[name].parts) {
                model.places[part] = {folder / files[shard], data.size(), dtype};
                for (double& value : model.tensors[part]) data += store(dtype, value);
                model.bytes[part] = data.size() - model.places[part].offset;
            }
            header[name] = {{"dtype", dtype}, {"shape", items[name].shape}, {"data_offsets", {begin, data.size()}}};
            index["weight_map"][name] = files[shard];
        }
        const std::string text = header.dump();
        for (auto& [name, place] : model.places)
            if (place.file == folder / files[shard]) place.offset += 8 + text.size();
        std::ofstream(folder / files[shard], std::ios::binary) << bytes_of(std::uint64_t{text.size()}) << text << data;
    }
    std::ofstream(folder / "model.safetensors.index.json") << index.dump();
    return model;
}

void overwrite(const std::filesystem::path& file, std::size_t offset, const std::string& bytes) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset)).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string bytes_at(const std::filesystem::path& file, std::size_t offset, std::size_t count) {
    std::string bytes(count, '\0');
    std::ifstream(file, std::ios::binary)
        .seekg(static_cast<std::streamoff>(offset))
        .read(bytes.data(), static_cast<std::streamsize>(count));
    return bytes;
}

std::vector<at::Tensor> tensors_of(const LayerWeights& layer) {
    std::vector<at::Tensor> all = {layer.input_norm, layer.post_attention_norm, layer.qkv,    layer.qkv_bias,
                                   layer.output,     layer.output_bias,         layer.q_norm, layer.k_norm};
    const auto add = [&](const Mlp& mlp) { all.insert(all.end(), {mlp.gate_up, mlp.down}); };
    if (layer.dense) add(*layer.dense);
    if (layer.moe) {
        all.insert(all.end(), {layer.moe->router, layer.moe->correction_bias});
        for (const Mlp& expert : layer.moe->experts) add(expert);
        if (layer.moe->shared) add(*layer.moe->shared);
    }
    std::erase_if(all, [](const at::Tensor& t) { return !t.defined(); });
    return all;
}

bool same_bits(const LayerWeights& a, const LayerWeights& b) {
    const auto left = tensors_of(a), right = tensors_of(b);
    if (left.size() != right.size() || a.moe.has_value() != b.moe.has_value()) return false;
    if (a.moe && (a.moe->first_expert != b.moe->first_expert || a.moe->experts.size() != b.moe->experts.size()))
        return false;
    for (std::size_t i = 0; i < left.size(); ++i)
        if (!at::equal(left[i], right[i])) return false;
    return true;
}

}  // namespace moesweep
