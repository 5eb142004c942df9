#include "moesweep/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "layer_reader.h"
#include "stored.h"

namespace moesweep {
namespace {

constexpr const char* embedding_name = "model.embed_tokens.weight";
constexpr std::int64_t embedding_block_rows = 256;  // never varies: the sums' order is made of it

/// Elements [begin, end) of a tensor, in one read.
void read_elements(const Checkpoint& checkpoint, const std::string& name, std::int64_t begin, std::int64_t end,
                   at::ScalarType dtype, void* to) {
    const TensorView& view = *checkpoint.find(name);
    const std::uint64_t size = element_bytes(view);
    std::vector<std::byte> bytes(static_cast<std::uint64_t>(end - begin) * size);
    view.read(static_cast<std::uint64_t>(begin) * size, bytes);
    convert(name, view, bytes, dtype, to);
}

/// Rows of a tensor [V, D], or all of a vector [D] as its row 0: [n, D].
at::Tensor read_rows(const Checkpoint& checkpoint, const std::string& name, std::span<const std::int32_t> rows,
                     at::ScalarType dtype) {
    const TensorView& view = *checkpoint.find(name);
    const std::int64_t width = view.shape.back(), height = element_count(view) / width;
    const at::Tensor out = at::empty({static_cast<std::int64_t>(rows.size()), width}, dtype);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < 0 || rows[i] >= height)
            fail(Exit::data, "{}: {}: token id {} is beyond its {} rows", view.where(), name, rows[i], height);
        const std::int64_t begin = rows[i] * width;
        read_elements(checkpoint, name, begin, begin + width, dtype, out[static_cast<std::int64_t>(i)].data_ptr());
    }
    return out;
}

}  // namespace

ExpertShare expert_share(std::int64_t experts, std::int64_t rank, std::int64_t ranks) {
    return {experts * rank / ranks, experts * (rank + 1) / ranks};
}

Weights::Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision,
                 c10::Device device)
    : config_(config), precision_(precision), device_(device), checkpoint_(model_folder) {
    if (precision == Precision::automatic) fail(Exit::internal, "the precision is not settled");
    for (const auto& tensor : expected_tensors(config)) checkpoint_.get(tensor.name, tensor.shape);
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) plan_layer(*this, l, {0, config.num_experts});
}

at::ScalarType activation_dtype(Precision precision) {
    return precision == Precision::fp64 ? at::kDouble : at::kFloat;
}

at::ScalarType Weights::matrix_dtype() const {
    return precision_ == Precision::fp32 || precision_ == Precision::fp64 ? dtype() : at::kBFloat16;
}

LayerWeights Weights::layer(std::int64_t index, ExpertShare share) const {
    const at::Tensor memory = map_memory(plan_layer(*this, index, share).bytes);
    const LayerPlan plan = plan_layer(*this, index, share, memory);
    LayerReader(/*drop_cached=*/false).read(plan, memory);
    return plan.weights;
}

at::Tensor Weights::final_norm() const {
    return read_rows(checkpoint_, "model.norm.weight", std::array{0}, dtype())[0].to(device_);
}

at::Tensor Weights::embed(std::span<const std::int32_t> ids) const {
    return read_rows(checkpoint_, embedding_name, ids, dtype()).to(device_);
}

at::Tensor Weights::head(std::span<const std::int32_t> ids) const {
    return read_rows(checkpoint_, config_.tie_word_embeddings ? embedding_name : "lm_head.weight", ids, dtype())
        .to(device_);
}

std::int64_t Weights::embedding_blocks() const {
    return (config_.vocab_size + embedding_block_rows - 1) / embedding_block_rows;
}

std::vector<double> Weights::embedding_sums(std::int64_t first, std::int64_t end) const {
    const std::int64_t block = embedding_block_rows * config_.hidden_size;
    const std::int64_t all = config_.vocab_size * config_.hidden_size;
    std::vector<double> sums, values(static_cast<std::size_t>(std::min(block, all)));
    for (std::int64_t b = first; b < end; ++b) {
        const std::int64_t begin = b * block, count = std::min(block, all - begin);
        read_elements(checkpoint_, embedding_name, begin, begin + count, at::kDouble, values.data());
        double sum = 0, squares = 0;
        for (const double value : std::span(values).first(static_cast<std::size_t>(count)))
            sum += value, squares += value * value;
        sums.insert(sums.end(), {sum, squares});
    }
    return sums;
}

double Weights::embedding_std(std::span<const double> sums) const {
    const auto n = static_cast<double>(config_.vocab_size * config_.hidden_size);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < sums.size(); i += 2) sum += sums[i], squares += sums[i + 1];
    return std::sqrt((squares - sum * sum / n) / (n - 1));
}

std::int64_t Weights::layer_bytes(std::int64_t index, ExpertShare share) const {
    return plan_layer(*this, index, share).bytes;
}

std::int64_t Weights::layer_file_bytes(std::int64_t index, ExpertShare share) const {
    return file_bytes(plan_layer(*this, index, share));
}

}  // namespace moesweep
