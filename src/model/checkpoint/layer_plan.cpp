#include "layer_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "moesweep/model/model_tensors.h"
#include "stored_form.h"

namespace moesweep {
namespace {

bool is_matrix(Slot slot) {
    switch (slot) {
        case Slot::qkv:
        case Slot::output:
        case Slot::dense_gate_up:
        case Slot::dense_down:
        case Slot::expert_gate_up:
        case Slot::expert_down:
        case Slot::shared_gate_up:
        case Slot::shared_down:
            return true;
        default:
            return false;
    }
}

at::Tensor& tensor_at(LayerWeights& layer, Slot slot, std::int64_t expert) {
    const auto mlp_of_expert = [&]() -> Mlp& {
        return layer.moe->experts[static_cast<std::size_t>(expert - layer.moe->first_expert)];
    };
    switch (slot) {
        case Slot::input_norm:
            return layer.input_norm;
        case Slot::post_attention_norm:
            return layer.post_attention_norm;
        case Slot::qkv:
            return layer.qkv;
        case Slot::qkv_bias:
            return layer.qkv_bias;
        case Slot::output:
            return layer.output;
        case Slot::output_bias:
            return layer.output_bias;
        case Slot::q_norm:
            return layer.q_norm;
        case Slot::k_norm:
            return layer.k_norm;
        case Slot::dense_gate_up:
            return layer.dense->gate_up;
        case Slot::dense_down:
            return layer.dense->down;
        case Slot::router:
            return layer.moe->router;
        case Slot::correction_bias:
            return layer.moe->correction_bias;
        case Slot::expert_gate_up:
            return mlp_of_expert().gate_up;
        case Slot::expert_down:
            return mlp_of_expert().down;
        case Slot::shared_gate_up:
            return layer.moe->shared->gate_up;
        case Slot::shared_down:
            return layer.moe->shared->down;
    }
    fail(Exit::internal, "slot {} is unknown", static_cast<int>(slot));
}

/// A layer's weights without their tensors.
LayerWeights empty_layer(const Weights& weights, std::int64_t index, ExpertShare share) {
    const ModelConfig& config = weights.config();
    LayerWeights layer;
    if (!config.is_moe[static_cast<std::size_t>(index)]) {
        layer.dense.emplace();
        return layer;
    }
    layer.moe.emplace();
    layer.moe->precision = weights.precision();
    layer.moe->first_expert = share.first;
    layer.moe->experts.resize(static_cast<std::size_t>(share.end - share.first));
    if (config.shared_expert.intermediate_size > 0) layer.moe->shared.emplace();
    return layer;
}

/// A stored tensor that is to become numbers of `dtype` must not be rounded on the way.
void require_exact(const TensorView& view, at::ScalarType dtype) {
    if (dtype == at::kBFloat16 && !form_of(view).to_bf16)
        fail(Exit::data,
             "{}: {}: {}, but the precisions split, fast and parity need a model in BF16 (model.precision = fp32 takes "
             "any)",
             view.where(), view.name, view.dtype);
}

/// Gives each tensor of a layer its place in memory and notes what it is made of.
LayerPlan place_tensors(const Weights& weights, std::int64_t index, ExpertShare share, const at::Tensor& memory) {
    LayerPlan plan;
    plan.weights = empty_layer(weights, index, share);
    std::map<std::pair<Slot, std::int64_t>, std::vector<const TensorView*>> views;  // in the order of their places
    const std::vector<LayerTensor> tensors = layer_tensors(weights.config(), index, share);
    for (const auto& [slot, expert, stored] : tensors)
        views[{slot, expert}].push_back(&weights.checkpoint().at(stored.name));
    for (const auto& [place, stored] : views) {
        const auto& [slot, expert] = place;
        const at::ScalarType dtype = is_matrix(slot) ? weights.matrix_dtype() : weights.dtype();
        const std::int64_t begin = plan.bytes;
        std::vector<std::int64_t> shape = stored.front()->shape;
        shape[0] = 0;
        for (const TensorView* view : stored) {
            require_exact(*view, dtype);
            plan.parts.push_back({view, dtype, plan.bytes});
            plan.bytes += element_count(*view) * static_cast<std::int64_t>(at::elementSize(dtype));
            shape[0] += view->shape[0];
        }
        if (memory.defined())
            tensor_at(plan.weights, slot, expert) = memory.narrow(0, begin, plan.bytes - begin).view(dtype).view(shape);
        plan.bytes = (plan.bytes + 63) / 64 * 64;
    }
    return plan;
}

std::uint64_t end_of(const Part& part) {
    return part.view->offset + part.view->bytes;
}

/// Where a piece that should end at `limit` does: the block that lies across is left to the next one.
std::uint64_t end_before(std::uint64_t limit, const Part& across) {
    return limit - (limit - across.view->offset) % form_of(*across.view).block_bytes;
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
    if (share.first < 0 || share.end < share.first || share.end > config.router.num_experts)
        fail(Exit::internal, "experts [{}, {}) of {} asked for", share.first, share.end, config.router.num_experts);
    LayerPlan plan = place_tensors(weights, index, share, memory);
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
