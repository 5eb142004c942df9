#include "naive.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moesweep::naive {
namespace {

Vector operator+(const Vector& a, const Vector& b) {
    Vector sum = a;
    for (std::size_t i = 0; i < a.size(); ++i) sum[i] += b[i];
    return sum;
}

Vector scaled(const Vector& a, double factor) {
    Vector out = a;
    for (auto& value : out) value *= factor;
    return out;
}

Vector times(const Vector& matrix, const Vector& x) {
    Vector out(matrix.size() / x.size());
    for (std::size_t row = 0; row < out.size(); ++row)
        for (std::size_t i = 0; i < x.size(); ++i) out[row] += matrix[row * x.size() + i] * x[i];
    return out;
}

Vector normed(const Vector& x, const Vector& weight, double eps) {
    double squares = 0;
    for (const double value : x) squares += value * value;
    Vector out = scaled(x, 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps));
    for (std::size_t i = 0; i < x.size(); ++i) out[i] *= weight[i];
    return out;
}

Vector swiglu(const Vector& gate, const Vector& up, const Vector& down, const Vector& x) {
    Vector inner = times(gate, x);
    const Vector other = times(up, x);
    for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = inner[i] / (1 + std::exp(-inner[i])) * other[i];
    return times(down, inner);
}

/// Looks up the tensors of one layer.
struct Layer {
    const TinyModel& model;
    std::string prefix;
    const Vector& operator()(const std::string& name) const { return model.tensors.at(prefix + name); }
    Vector or_empty(const std::string& name) const {
        const auto at = model.tensors.find(prefix + name);
        return at == model.tensors.end() ? Vector() : at->second;
    }
};

/// One head's part of a projection, with bias, norm and rotation.
Vector head(const Layer& layer, const std::string& which, std::size_t index, const Vector& x, std::size_t position) {
    const ModelConfig& c = layer.model.config;
    const auto Dh = static_cast<std::size_t>(c.heads.head_dim), half = static_cast<std::size_t>(c.rope.rotary_dim / 2);
    Vector all = times(layer("self_attn." + which + "_proj.weight"), x);
    const Vector bias = layer.or_empty("self_attn." + which + "_proj.bias");
    if (!bias.empty()) all = all + bias;
    Vector out(all.begin() + static_cast<std::ptrdiff_t>(index * Dh),
               all.begin() + static_cast<std::ptrdiff_t>((index + 1) * Dh));
    if (which == "v") return out;
    if (c.heads.qk_norm) out = normed(out, layer("self_attn." + which + "_norm.weight"), c.rms_norm_eps);
    const Vector plain = out;
    for (std::size_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(position) *
            std::pow(c.rope.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.rope.rotary_dim));
        out[i] = plain[i] * std::cos(angle) - plain[i + half] * std::sin(angle);
        out[i + half] = plain[i + half] * std::cos(angle) + plain[i] * std::sin(angle);
    }
    return out;
}

std::vector<Vector> attention(const Layer& layer, const std::vector<Vector>& x) {
    const ModelConfig& c = layer.model.config;
    const auto heads = static_cast<std::size_t>(c.heads.num_attention_heads),
               group = heads / static_cast<std::size_t>(c.heads.num_key_value_heads);
    std::vector<Vector> out;
    for (std::size_t t = 0; t < x.size(); ++t) {
        Vector mixed;
        for (std::size_t h = 0; h < heads; ++h) {
            const Vector q = head(layer, "q", h, x[t], t);
            Vector weights;
            for (std::size_t s = 0; s <= t; ++s) {
                const Vector k = head(layer, "k", h / group, x[s], s);
                weights.push_back(std::exp(std::inner_product(q.begin(), q.end(), k.begin(), 0.0) /
                                           std::sqrt(static_cast<double>(c.heads.head_dim))));
            }
            const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
            Vector value(q.size());
            for (std::size_t s = 0; s <= t; ++s)
                value = value + scaled(head(layer, "v", h / group, x[s], s), weights[s] / total);
            mixed.insert(mixed.end(), value.begin(), value.end());
        }
        out.push_back(times(layer("self_attn.o_proj.weight"), mixed));
        const Vector bias = layer.or_empty("self_attn.o_proj.bias");
        if (!bias.empty()) out.back() = out.back() + bias;
    }
    return out;
}

std::vector<int> descending(const Vector& values) {
    std::vector<int> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
    });
    return order;
}

void route(const Layer& layer, const Vector& x, Block& block) {
    const ModelConfig& c = layer.model.config;
    const std::string prefix = c.model_type == "mixtral" ? "block_sparse_moe." : "mlp.";
    Vector scores = times(layer(prefix + "gate.weight"), x);
    if (c.router.score == Score::sigmoid) {
        for (auto& s : scores) s = 1 / (1 + std::exp(-s));
    } else {
        double total = 0;
        for (auto& s : scores) total += s = std::exp(s);
        for (auto& s : scores) s /= total;
    }
    Vector choice = scores;
    if (c.router.score == Score::sigmoid) choice = choice + layer(prefix + "gate.e_score_correction_bias");
    if (c.router.topk_group < c.router.n_group) {
        const std::size_t size = choice.size() / static_cast<std::size_t>(c.router.n_group);
        Vector best_two;
        for (std::size_t g = 0; g < static_cast<std::size_t>(c.router.n_group); ++g) {
            Vector members(choice.begin() + static_cast<std::ptrdiff_t>(g * size),
                           choice.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
            std::sort(members.rbegin(), members.rend());
            best_two.push_back(members[0] + members[1]);
        }
        const auto order = descending(best_two);
        for (std::size_t rank = static_cast<std::size_t>(c.router.topk_group); rank < order.size(); ++rank)
            for (std::size_t i = 0; i < size; ++i) choice[static_cast<std::size_t>(order[rank]) * size + i] = -INFINITY;
    }
    const auto order = descending(choice);
    const auto K = static_cast<std::size_t>(c.router.num_experts_per_tok);
    block.gap = K < order.size()
                    ? choice[static_cast<std::size_t>(order[K - 1])] - choice[static_cast<std::size_t>(order[K])]
                    : INFINITY;
    double total = 0;
    for (std::size_t k = 0; k < K; ++k) total += scores[static_cast<std::size_t>(order[k])];
    for (std::size_t k = 0; k < K; ++k)
        block.routed.emplace_back(order[k], scores[static_cast<std::size_t>(order[k])] /
                                                (c.router.norm_topk_prob ? total : 1) * c.router.routed_scaling_factor);
    std::stable_sort(block.routed.begin(), block.routed.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
}

Block moe(const Layer& layer, const Vector& x) {
    const bool mixtral = layer.model.config.model_type == "mixtral";
    Block block;
    route(layer, x, block);
    block.output.assign(x.size(), 0.0);
    for (const auto& [e, weight] : block.routed) {
        const auto matrix = [&, expert = e](const char* name, const char* mixtrals) -> const Vector& {
            return layer(fmt::format("{}.experts.{}.{}.weight", mixtral ? "block_sparse_moe" : "mlp", expert,
                                     mixtral ? mixtrals : name));
        };
        block.contributions[e] =
            scaled(swiglu(matrix("gate_proj", "w1"), matrix("up_proj", "w3"), matrix("down_proj", "w2"), x), weight);
        block.output = block.output + block.contributions[e];
    }
    if (layer.model.config.shared_expert.intermediate_size > 0)
        block.output = block.output + swiglu(layer("mlp.shared_experts.gate_proj.weight"),
                                             layer("mlp.shared_experts.up_proj.weight"),
                                             layer("mlp.shared_experts.down_proj.weight"), x);
    return block;
}

}  // namespace

Vector embedding(const TinyModel& model, int token) {
    const auto& all = model.tensors.at("model.embed_tokens.weight");
    const auto D = static_cast<std::ptrdiff_t>(model.config.hidden_size);
    return Vector(all.begin() + token * D, all.begin() + (token + 1) * D);
}

Forward forward(const TinyModel& model, const std::vector<Vector>& embeddings, const std::optional<Override>& patch) {
    const ModelConfig& c = model.config;
    Forward result;
    std::vector<Vector> hidden = embeddings;
    for (int l = 0; l < static_cast<int>(c.num_hidden_layers); ++l) {
        const Layer layer{model, fmt::format("model.layers.{}.", l)};
        std::vector<Vector> x;
        for (const auto& h : hidden) x.push_back(normed(h, layer("input_layernorm.weight"), c.rms_norm_eps));
        const auto mixed = attention(layer, x);
        for (std::size_t t = 0; t < hidden.size(); ++t) {
            hidden[t] = hidden[t] + mixed[t];
            const Vector y = normed(hidden[t], layer("post_attention_layernorm.weight"), c.rms_norm_eps);
            if (!c.is_moe[static_cast<std::size_t>(l)]) {
                hidden[t] = hidden[t] + swiglu(layer("mlp.gate_proj.weight"), layer("mlp.up_proj.weight"),
                                               layer("mlp.down_proj.weight"), y);
                continue;
            }
            const Block block = moe(layer, y);
            const bool last = t + 1 == hidden.size();
            hidden[t] = hidden[t] + (last && patch && patch->layer == l ? patch->output : block.output);
            if (last) result.blocks[l] = block;
        }
    }
    result.final_hidden = normed(hidden.back(), model.tensors.at("model.norm.weight"), c.rms_norm_eps);
    return result;
}

double delta(const TinyModel& model, const Forward& forward, int true_id, int foil_id) {
    const auto& head =
        model.tensors.at(model.config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    const auto D = forward.final_hidden.size();
    double sum = 0;
    for (std::size_t i = 0; i < D; ++i)
        sum += forward.final_hidden[i] *
               (head[static_cast<std::size_t>(true_id) * D + i] - head[static_cast<std::size_t>(foil_id) * D + i]);
    return sum;
}

}  // namespace moesweep::naive
