#include "moesweep/model/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/convert.h"
#include "checkpoint/layer_reader.h"
#include "checkpoint/stored_form.h"

namespace moesweep {
namespace {

constexpr std::int64_t embedding_block_rows = 256;  // never varies: the sums' order is made of it

/// Elements [begin, end) of a tensor, whole blocks, in one read.
void read_elements(const TensorView& view, std::int64_t begin, std::int64_t end, at::ScalarType dtype, void* to) {
    const StoredForm& form = form_of(view);
    std::vector<std::byte> bytes(form.bytes(static_cast<std::uint64_t>(end - begin)));
    view.read(form.bytes(static_cast<std::uint64_t>(begin)), bytes);
    convert(view, bytes, dtype, to);
}

/// Rows of a tensor [V, D], or all of a vector [D] as its row 0: [n, D].
at::Tensor read_rows(const TensorView& view, std::span<const std::int32_t> rows, at::ScalarType dtype) {
    const std::int64_t width = view.shape.back(), height = element_count(view) / width;
    const at::Tensor out = at::empty({static_cast<std::int64_t>(rows.size()), width}, dtype);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < 0 || rows[i] >= height)
            fail(Exit::data, "{}: {}: token id {} is beyond its {} rows", view.where(), view.name, rows[i], height);
        const std::int64_t begin = rows[i] * width;
        read_elements(view, begin, begin + width, dtype, out[static_cast<std::int64_t>(i)].data_ptr());
    }
    return out;
}

/// The elements of rows [b, b + 1) x embedding_block_rows of a matrix, as far as there are such.
std::vector<double> read_block(const TensorView& view, std::int64_t b) {
    const std::int64_t block = embedding_block_rows * view.shape.back(), begin = b * block;
    std::vector<double> values(static_cast<std::size_t>(std::min(block, element_count(view) - begin)));
    read_elements(view, begin, begin + static_cast<std::int64_t>(values.size()), at::kDouble, values.data());
    return values;
}

}  // namespace

Weights::Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision,
                 c10::Device device)
    : config_(config),
      precision_(precision),
      device_(device),
      ends_(end_tensors(config)),
      checkpoint_(Checkpoint::open(model_folder, expected_tensors(config))) {
    if (precision == Precision::automatic) fail(Exit::internal, "the precision is not settled");
    if (!checkpoint_.whole()) fail(Exit::data, "{}", checkpoint_.problems()[0]);
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) plan_layer(*this, l, {0, config.router.num_experts});
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
    return read_rows(checkpoint_.at(ends_.final_norm.name), std::array{0}, dtype())[0].to(device_);
}

at::Tensor Weights::embed(std::span<const std::int32_t> ids) const {
    return read_rows(checkpoint_.at(ends_.embedding.name), ids, dtype()).to(device_);
}

at::Tensor Weights::head(std::span<const std::int32_t> ids) const {
    return read_rows(checkpoint_.at(ends_.head.name), ids, dtype()).to(device_);
}

std::int64_t Weights::embedding_blocks() const {
    return (config_.vocab_size + embedding_block_rows - 1) / embedding_block_rows;
}

std::vector<double> Weights::embedding_sums(std::int64_t first, std::int64_t end) const {
    std::vector<double> sums;
    for (std::int64_t b = first; b < end; ++b) {
        double sum = 0, squares = 0;
        for (const double value : read_block(checkpoint_.at(ends_.embedding.name), b))
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

bool Weights::tied_head_differs(std::int64_t first, std::int64_t end) const {
    const TensorView &embedding = checkpoint_.at(ends_.embedding.name), &head = checkpoint_.at(ends_.head.name);
    if (!config_.tie_word_embeddings || head.name == embedding.name) return false;
    for (std::int64_t b = first; b < end; ++b)
        if (read_block(embedding, b) != read_block(head, b)) return true;
    return false;
}

std::string Weights::tied_head_note() const {
    return fmt::format(
        "{}: {}: other numbers than {}, though config.json says tie_word_embeddings: it is the head, as in "
        "transformers",
        checkpoint_.at(ends_.head.name).where(), ends_.head.name, ends_.embedding.name);
}

std::int64_t Weights::layer_bytes(std::int64_t index, ExpertShare share) const {
    return plan_layer(*this, index, share).bytes;
}

std::int64_t Weights::layer_file_bytes(std::int64_t index, ExpertShare share) const {
    return file_bytes(plan_layer(*this, index, share));
}

}  // namespace moesweep
