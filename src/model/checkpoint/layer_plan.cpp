#include "layer_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "stored.h"

namespace moesweep {
namespace {

/// Gives each tensor of a layer its place in memory and notes what it is made of.
class Planner {
  public:
    Planner(const Weights& weights, const at::Tensor& memory)
        : config_(weights.config()),
          checkpoint_(weights.checkpoint()),
          memory_(memory),
          dtype_(weights.dtype()),
          matrix_dtype_(weights.matrix_dtype()),
          precision_(weights.precision()) {}

    LayerPlan plan(std::int64_t index, ExpertShare share) {
        const std::string prefix = fmt::format("model.layers.{}.", index), mlp = prefix + "mlp.";
        LayerPlan plan;
        plan.weights.input_norm = place({prefix + "input_layernorm.weight"});
        plan.weights.post_attention_norm = place({prefix + "post_attention_layernorm.weight"});
        place_attention(prefix + "self_attn.", plan.weights);
        if (config_.is_moe[static_cast<std::size_t>(index)])
            plan.weights.moe = place_moe(prefix, share);
        else
            plan.weights.dense = place_mlp(mlp + "gate_proj.weight", mlp + "up_proj.weight", mlp + "down_proj.weight");
        plan.bytes = bytes_;
        plan.parts = std::move(parts_);
        return plan;
    }

  private:
    /// Stored tensors of one width below each other: [sum of rows, D], or [sum] for vectors.
    at::Tensor place(std::initializer_list<std::string> names, at::ScalarType dtype) {
        const std::int64_t begin = bytes_;
        std::vector<std::int64_t> shape;
        for (const auto& name : names) {
            const TensorView& view = checkpoint_.at(name);
            if (dtype == at::kBFloat16 && view.dtype != "BF16")
                fail(Exit::data,
                     "{}: {}: {}, but the precisions split, fast and parity need a model in BF16 (model.precision = "
                     "fp32 takes any)",
                     view.where(), view.name, view.dtype);
            parts_.push_back({&view, dtype, bytes_});
            bytes_ += element_count(view) * static_cast<std::int64_t>(at::elementSize(dtype));
            if (shape.empty())
                shape = view.shape;
            else
                shape[0] += view.shape[0];
        }
        const std::int64_t count = bytes_ - begin;
        bytes_ = (bytes_ + 63) / 64 * 64;
        return memory_.defined() ? memory_.narrow(0, begin, count).view(dtype).view(shape) : at::Tensor();
    }
    at::Tensor place(std::initializer_list<std::string> names) { return place(names, dtype_); }
    at::Tensor place_matrix(std::initializer_list<std::string> names) { return place(names, matrix_dtype_); }

    Mlp place_mlp(const std::string& gate, const std::string& up, const std::string& down) {
        return {place_matrix({gate, up}), place_matrix({down})};
    }

    void place_attention(const std::string& prefix, LayerWeights& layer) {
        const std::string q = prefix + "q_proj.", k = prefix + "k_proj.", v = prefix + "v_proj.";
        layer.qkv = place_matrix({q + "weight", k + "weight", v + "weight"});
        layer.output = place_matrix({prefix + "o_proj.weight"});
        if (config_.qkv_bias) layer.qkv_bias = place({q + "bias", k + "bias", v + "bias"});
        if (config_.output_bias) layer.output_bias = place({prefix + "o_proj.bias"});
        if (config_.qk_norm) {
            layer.q_norm = place({prefix + "q_norm.weight"});
            layer.k_norm = place({prefix + "k_norm.weight"});
        }
    }

    MoeWeights place_moe(const std::string& prefix, ExpertShare share) {
        const auto& names = config_.names;
        MoeWeights moe;
        moe.precision = precision_;
        moe.router = place({prefix + names.router});
        if (config_.router == Router::sigmoid) moe.correction_bias = place({prefix + names.correction_bias});
        moe.first_expert = share.first;
        const auto of_expert = [&](const std::string& name, std::int64_t e) {
            return prefix + fmt::format(fmt::runtime(name), e);
        };
        for (std::int64_t e = share.first; e < share.end; ++e)
            moe.experts.push_back(
                place_mlp(of_expert(names.gate, e), of_expert(names.up, e), of_expert(names.down, e)));
        const std::string shared = prefix + "mlp.shared_experts.";
        if (config_.shared_intermediate_size > 0)
            moe.shared = place_mlp(shared + "gate_proj.weight", shared + "up_proj.weight", shared + "down_proj.weight");
        return moe;
    }

    const ModelConfig& config_;
    const Checkpoint& checkpoint_;
    const at::Tensor& memory_;
    const at::ScalarType dtype_, matrix_dtype_;
    const Precision precision_;
    std::int64_t bytes_ = 0;
    std::vector<Part> parts_;
};

std::uint64_t end_of(const Part& part) {
    return part.view->offset + part.view->bytes;
}

/// Where a piece that should end at `limit` does: the element that lies across is left to the next one.
std::uint64_t end_before(std::uint64_t limit, const Part& across) {
    return limit - (limit - across.view->offset) % element_bytes(*across.view);
}

/// Pieces for parts in the order of their files and offsets.
std::vector<Piece> cut_pieces(const std::vector<Part>& parts) {
    std::vector<Piece> pieces;
    for (std::size_t part = 0; part < parts.size(); ++part) {
        const TensorView& view = *parts[part].view;
        std::uint64_t done = view.offset;
        if (!pieces.empty() && pieces.back().file == view.file && pieces.back().end == view.offset) {
            Piece& last = pieces.back();  // ends where this part begins: filled up with it
            done = last.end = std::min(end_of(parts[part]), end_before(last.begin + most_piece_bytes, parts[part]));
        }
        while (done < end_of(parts[part])) {
            const std::uint64_t end = std::min(end_of(parts[part]), end_before(done + most_piece_bytes, parts[part]));
            pieces.push_back({view.file, done, end, part});
            done = end;
        }
    }
    return pieces;
}

}  // namespace

LayerPlan plan_layer(const Weights& weights, std::int64_t index, ExpertShare share, const at::Tensor& memory) {
    const ModelConfig& config = weights.config();
    if (index < 0 || index >= config.num_hidden_layers)
        fail(Exit::internal, "layer {} of {} asked for", index, config.num_hidden_layers);
    if (share.first < 0 || share.end < share.first || share.end > config.num_experts)
        fail(Exit::internal, "experts [{}, {}) of {} asked for", share.first, share.end, config.num_experts);
    LayerPlan plan = Planner(weights, memory).plan(index, share);
    std::ranges::sort(plan.parts, [](const Part& a, const Part& b) {
        return std::less<>()(a.view->file, b.view->file) ||
               (a.view->file == b.view->file && a.view->offset < b.view->offset);
    });
    plan.pieces = cut_pieces(plan.parts);
    return plan;
}

std::int64_t file_bytes(const LayerPlan& plan) {
    std::int64_t bytes = 0;
    for (const Part& part : plan.parts) bytes += static_cast<std::int64_t>(part.view->bytes);
    return bytes;
}

}  // namespace moesweep
