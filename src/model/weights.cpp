#include "moesweep/weights.h"

#include <ATen/ATen.h>
#include <c10/util/Half.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace moesweep {
namespace {

/// How a stored element becomes a number, and which bit patterns are none (exponent all ones).
struct Bf16 {
    using Bits = std::uint16_t;
    static constexpr Bits exponent = 0x7f80;
    static float value(Bits bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};
struct F16 {
    using Bits = std::uint16_t;
    static constexpr Bits exponent = 0x7c00;
    static float value(Bits bits) { return static_cast<float>(c10::Half(bits, c10::Half::from_bits())); }
};
struct F32 {
    using Bits = std::uint32_t;
    static constexpr Bits exponent = 0x7f800000;
    static float value(Bits bits) { return std::bit_cast<float>(bits); }
};

/// Calls use(stored, bits) for each element (they may lie unaligned); false if one was NaN or infinite.
template <class Stored, class Use>
bool for_each_element(std::span<const std::byte> bytes, Use use) {
    using Bits = typename Stored::Bits;
    bool finite = true;
    for (std::size_t i = 0; i < bytes.size() / sizeof(Bits); ++i) {
        Bits bits;
        std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof(Bits));
        finite &= (bits & Stored::exponent) != Stored::exponent;
        use(i, Stored::value(bits));
    }
    return finite;
}

template <class Use>
void for_each_element(const TensorView& view, const std::string& name, std::span<const std::byte> bytes, Use use) {
    const bool finite = view.dtype == "BF16"  ? for_each_element<Bf16>(bytes, use)
                        : view.dtype == "F16" ? for_each_element<F16>(bytes, use)
                                              : for_each_element<F32>(bytes, use);
    if (!finite) fail(Exit::data, "{}: {}: holds a NaN or an infinity", view.file->string(), name);
}

/// Converts `bytes` of a tensor to out's type, from element `offset` of `out` on.
void convert(const TensorView& view, const std::string& name, std::span<const std::byte> bytes, const at::Tensor& out,
             std::int64_t offset) {
    if (out.scalar_type() == at::kFloat) {
        float* to = out.data_ptr<float>() + offset;
        for_each_element(view, name, bytes, [to](std::size_t i, float value) { to[i] = value; });
    } else {
        double* to = out.data_ptr<double>() + offset;
        for_each_element(view, name, bytes, [to](std::size_t i, float value) { to[i] = value; });
    }
}

}  // namespace

Weights::Weights(const std::filesystem::path& model_folder, const ModelConfig& config, Precision precision)
    : config_(config), dtype_(precision == Precision::fp64 ? at::kDouble : at::kFloat), checkpoint_(model_folder) {
    for (const auto& tensor : expected_tensors(config)) checkpoint_.get(tensor.name, tensor.shape);
}

at::Tensor Weights::read(const std::string& name) const {
    return read_stacked({name});
}

at::Tensor Weights::read_stacked(const std::vector<std::string>& names) const {
    std::vector<std::int64_t> shape = checkpoint_.find(names[0])->shape;
    for (std::size_t i = 1; i < names.size(); ++i) shape[0] += checkpoint_.find(names[i])->shape[0];
    const at::Tensor stacked = at::empty(shape, dtype_);
    std::int64_t offset = 0;
    for (const auto& name : names) {
        const TensorView& view = *checkpoint_.find(name);
        convert(view, name, view.bytes, stacked, offset);
        std::int64_t elements = 1;
        for (const auto extent : view.shape) elements *= extent;
        offset += elements;
    }
    return stacked;
}

at::Tensor Weights::read_rows(const std::string& name, std::span<const std::int32_t> rows) const {
    const TensorView& view = *checkpoint_.find(name);
    const std::size_t row_bytes = view.bytes.size() / static_cast<std::size_t>(view.shape[0]);
    const at::Tensor out = at::empty({static_cast<std::int64_t>(rows.size()), view.shape[1]}, dtype_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < 0 || rows[i] >= view.shape[0])
            fail(Exit::data, "{}: {}: token id {} is beyond its {} rows", view.file->string(), name, rows[i],
                 view.shape[0]);
        convert(view, name, view.bytes.subspan(static_cast<std::size_t>(rows[i]) * row_bytes, row_bytes), out,
                static_cast<std::int64_t>(i) * view.shape[1]);
    }
    return out;
}

Mlp Weights::read_mlp(const std::string& gate, const std::string& up, const std::string& down) const {
    return {read_stacked({gate, up}), read(down)};
}

MoeWeights Weights::read_moe(const std::string& prefix) const {
    const auto& names = config_.names;
    MoeWeights moe;
    moe.router = read(prefix + names.router);
    if (config_.router == Router::sigmoid) moe.correction_bias = read(prefix + names.correction_bias);
    const auto of_expert = [&](const std::string& name, std::int64_t e) {
        return prefix + fmt::format(fmt::runtime(name), e);
    };
    for (std::int64_t e = 0; e < config_.num_experts; ++e)
        moe.experts.push_back(read_mlp(of_expert(names.gate, e), of_expert(names.up, e), of_expert(names.down, e)));
    if (config_.shared_intermediate_size > 0)
        moe.shared =
            read_mlp(prefix + "mlp.shared_experts.gate_proj.weight", prefix + "mlp.shared_experts.up_proj.weight",
                     prefix + "mlp.shared_experts.down_proj.weight");
    return moe;
}

LayerWeights Weights::layer(std::int64_t index) const {
    const std::string prefix = fmt::format("model.layers.{}.", index), attention = prefix + "self_attn.";
    LayerWeights layer;
    layer.input_norm = read(prefix + "input_layernorm.weight");
    layer.post_attention_norm = read(prefix + "post_attention_layernorm.weight");
    layer.qkv = read_stacked({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"});
    layer.output = read(attention + "o_proj.weight");
    if (config_.qkv_bias)
        layer.qkv_bias =
            read_stacked({attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias"});
    if (config_.output_bias) layer.output_bias = read(attention + "o_proj.bias");
    if (config_.qk_norm) {
        layer.q_norm = read(attention + "q_norm.weight");
        layer.k_norm = read(attention + "k_norm.weight");
    }
    if (config_.is_moe[static_cast<std::size_t>(index)])
        layer.moe = read_moe(prefix);
    else
        layer.dense =
            read_mlp(prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight", prefix + "mlp.down_proj.weight");
    return layer;
}

at::Tensor Weights::final_norm() const {
    return read("model.norm.weight");
}

at::Tensor Weights::embed(std::span<const std::int32_t> ids) const {
    return read_rows("model.embed_tokens.weight", ids);
}

at::Tensor Weights::head(std::span<const std::int32_t> ids) const {
    return read_rows(config_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight", ids);
}

double Weights::embedding_std() const {
    const std::string name = "model.embed_tokens.weight";
    const TensorView& view = *checkpoint_.find(name);
    const auto n = static_cast<double>(view.shape[0] * view.shape[1]);
    double sum = 0, squares = 0;
    for_each_element(view, name, view.bytes,
                     [&](std::size_t, double value) { sum += value, squares += value * value; });
    return std::sqrt((squares - sum * sum / n) / (n - 1));
}

}  // namespace moesweep
