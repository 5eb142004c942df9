#include "moesweep/model/attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <map>

#include "kernels/tensors.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

constexpr std::int64_t width_step = 16;  // contexts are padded to a multiple of this
// Rows of one run that share a product with its keys. MKL's kernels for AVX2 take 12 rows at a time and sum in another
// order where 8 are left over, so that a row's bits would depend on its place: a multiple of 12 leaves none, however
// many heads share a key. A run that has one row shares nothing.
constexpr std::int64_t tile_of_rows = 24, tile_of_one = 1;
constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

/// [n, width, Hkv, Dh] of the group's contexts as [n, Hkv, width, Dh].
at::Tensor gather(const at::Tensor& x, const at::Tensor& tokens, std::int64_t width) {
    return x.index_select(0, tokens).view({-1, width, x.size(1), x.size(2)}).transpose(1, 2).contiguous();
}

}  // namespace

Attention::Attention(const Heads& heads, std::vector<Context> contexts, Precision precision, c10::Device device,
                     Runs runs)
    : heads_(heads.num_attention_heads),
      kv_heads_(heads.num_key_value_heads),
      head_dim_(heads.head_dim),
      precision_(precision),
      device_(device),
      runs_(runs),
      tile_(runs == Runs::shared ? tile_of_rows : tile_of_one),
      contexts_(std::move(contexts)) {
    if (runs_ != Runs::cached)
        for (const auto& [begin, length] : contexts_) contexts_end_ = std::max(contexts_end_, begin + length);
    if (device_.is_cpu())
        pad_contexts();
    else
        list_contexts();
}

/// Runs of one padded width together.
void Attention::pad_contexts() {
    std::map<std::int64_t, Group> by_width;
    for (std::size_t run = 0; run < contexts_.size(); ++run) {
        const std::int64_t length = contexts_[run].length;
        const std::int64_t width = std::max(width_step, (length + width_step - 1) / width_step * width_step);
        by_width[width].runs.push_back(static_cast<std::int64_t>(run));
    }
    for (auto& [width, group] : by_width) {
        group.width = width;
        std::vector<std::int64_t> tokens, valid, home;
        group.mask = at::zeros({static_cast<std::int64_t>(group.runs.size()), width}, activation_dtype(precision_));
        for (std::size_t slot = 0; slot < group.runs.size(); ++slot) {
            const auto& [begin, length] = contexts_[static_cast<std::size_t>(group.runs[slot])];
            group.mask[static_cast<std::int64_t>(slot)].narrow(0, length, width - length).fill_(minus_infinity);
            for (std::int64_t t = 0; t < width; ++t) {
                if (t < length) {
                    valid.push_back(static_cast<std::int64_t>(tokens.size()));
                    home.push_back(begin + t);
                }
                tokens.push_back(t < length ? begin + t : 0);
            }
        }
        group.mask = group.mask.to(device_);
        group.tokens = indices(tokens);
        group.valid = indices(valid);
        group.home = indices(home);
        groups_.push_back(std::move(group));
    }
}

at::Tensor Attention::indices(const std::vector<std::int64_t>& values) const {
    return at::tensor(values, at::kLong).to(device_);
}

/// A context's token sees those before it.
void Attention::list_contexts() {
    std::vector<std::int32_t> first(static_cast<std::size_t>(contexts_end_)), count(first.size());
    if (runs_ != Runs::cached)
        for (const auto& [begin, length] : contexts_)
            for (std::int64_t t = 0; t < length; ++t) {
                first[static_cast<std::size_t>(begin + t)] = static_cast<std::int32_t>(begin);
                count[static_cast<std::size_t>(begin + t)] = static_cast<std::int32_t>(t);
            }
    first_ = at::tensor(first, at::kInt).to(device_, /*non_blocking=*/true);
    count_ = at::tensor(count, at::kInt).to(device_, /*non_blocking=*/true);
}

void Attention::add_rows(std::span<const std::int64_t> runs) {
    row_run_.insert(row_run_.end(), runs.begin(), runs.end());
    for (auto& group : groups_) tile_rows(group);
    if (device_.is_cpu()) return;
    std::vector<std::int32_t> first, count;
    for (const std::int64_t run : runs) {
        const auto& [begin, length] = contexts_[static_cast<std::size_t>(run)];
        first.push_back(static_cast<std::int32_t>(begin));
        count.push_back(static_cast<std::int32_t>(length));
    }
    first_ = at::cat({first_, at::tensor(first, at::kInt).to(device_, /*non_blocking=*/true)});
    count_ = at::cat({count_, at::tensor(count, at::kInt).to(device_, /*non_blocking=*/true)});
}

void Attention::tile_rows(Group& group) const {
    std::vector<std::vector<std::int64_t>> rows_of(group.runs.size());
    std::map<std::int64_t, std::size_t> slot_of;
    for (std::size_t slot = 0; slot < group.runs.size(); ++slot) slot_of[group.runs[slot]] = slot;
    for (std::size_t row = 0; row < row_run_.size(); ++row) {
        const auto slot = slot_of.find(row_run_[row]);
        if (slot != slot_of.end()) rows_of[slot->second].push_back(contexts_end_ + static_cast<std::int64_t>(row));
    }
    std::vector<std::int64_t> tile_run, tile_rows, valid, home;
    for (std::size_t slot = 0; slot < rows_of.size(); ++slot) {
        for (std::size_t begin = 0; begin < rows_of[slot].size(); begin += static_cast<std::size_t>(tile_)) {
            tile_run.push_back(static_cast<std::int64_t>(slot));
            for (std::size_t i = begin; i < begin + static_cast<std::size_t>(tile_); ++i) {
                if (i < rows_of[slot].size()) {
                    valid.push_back(static_cast<std::int64_t>(tile_rows.size()));
                    home.push_back(rows_of[slot][i]);
                }
                tile_rows.push_back(home.back());
            }
        }
    }
    group.tile_run = indices(tile_run);
    group.tile_rows = indices(tile_rows);
    group.row_valid = indices(valid);
    group.row_home = indices(home);
}

at::Tensor Attention::mix(const at::Tensor& heads, bool with_contexts) const {
    const at::Tensor kv = heads.narrow(1, heads_, 2 * kv_heads_);
    if (!device_.is_cpu()) return mix_by_kernels(heads, kv, with_contexts ? 0 : contexts_end_);
    const at::Tensor out = mix(heads, kv, with_contexts);
    return with_contexts ? out : out.narrow(0, contexts_end_, rows());
}

at::Tensor Attention::mix(const at::Tensor& heads, const at::Tensor& cache) const {
    return device_.is_cpu() ? mix(heads, cache, /*with_contexts=*/false) : mix_by_kernels(heads, cache, 0);
}

at::Tensor Attention::mix(const at::Tensor& heads, const at::Tensor& kv, bool with_contexts) const {
    const at::Tensor out = at::empty({heads.size(0), heads_ * head_dim_}, heads.options());
    for (const auto& group : groups_) {
        const at::Tensor keys = gather(kv.narrow(1, 0, kv_heads_), group.tokens, group.width),
                         values = gather(kv.narrow(1, kv_heads_, kv_heads_), group.tokens, group.width);
        if (with_contexts) attend_contexts(group, heads.narrow(1, 0, heads_), keys, values, out);
        if (group.row_home.size(0) > 0) attend_rows(group, heads, keys, values, out);
    }
    return out;
}

at::Tensor Attention::mix_by_kernels(const at::Tensor& heads, const at::Tensor& kv, std::int64_t begin) const {
    std::int64_t most = 0;
    for (const Context& context : contexts_) most = std::max(most, context.length);
    return kernels::attend(heads, kernels::heads_of(heads, heads_, kv_heads_), begin, kv, first_, count_, most,
                           precision_);
}

at::Tensor Attention::scaled(const at::Tensor& scores) const {
    return rounded(rounded(scores, precision_) / std::sqrt(double(head_dim_)), precision_);
}

void Attention::attend_contexts(const Group& group, const at::Tensor& q, const at::Tensor& keys,
                                const at::Tensor& values, const at::Tensor& out) const {
    const std::int64_t runs = keys.size(0), width = group.width, per_kv = heads_ / kv_heads_, pairs = runs * kv_heads_;
    const at::Tensor queries = gather(q, group.tokens, width).view({pairs, per_kv * width, head_dim_});
    const at::Tensor scores = scaled(at::bmm(queries, keys.view({pairs, width, head_dim_}).transpose(1, 2)));
    const at::Tensor future = at::full({width, width}, minus_infinity, q.options()).triu(1);
    const at::Tensor weights =
        rounded(at::softmax(scores.view({pairs, per_kv, width, width}) + future, -1), precision_);
    const at::Tensor mixed = rounded(
        at::bmm(weights.view({pairs, per_kv * width, width}), values.view({pairs, width, head_dim_})), precision_);
    const at::Tensor by_token =
        mixed.view({runs, heads_, width, head_dim_}).transpose(1, 2).reshape({runs * width, heads_ * head_dim_});
    out.index_copy_(0, group.home, by_token.index_select(0, group.valid));
}

void Attention::attend_rows(const Group& group, const at::Tensor& heads, const at::Tensor& keys,
                            const at::Tensor& values, const at::Tensor& out) const {
    const std::int64_t tiles = group.tile_run.size(0), width = group.width, per_kv = heads_ / kv_heads_,
                       pairs = tiles * kv_heads_;
    const auto of_tiles = [&](const at::Tensor& x) {  // [tiles, Hkv, rows of a tile, heads per kv head or 1, Dh]
        return x.index_select(0, group.tile_rows)
            .view({tiles, tile_, kv_heads_, -1, head_dim_})
            .transpose(1, 2)
            .contiguous();
    };
    const at::Tensor queries = of_tiles(heads.narrow(1, 0, heads_)),
                     own_key = of_tiles(heads.narrow(1, heads_, kv_heads_)),
                     own_value = of_tiles(heads.narrow(1, heads_ + kv_heads_, kv_heads_));
    const auto of_runs = [&](const at::Tensor& x) {  // where each run has one row, tiles are runs
        return (runs_ == Runs::shared ? x.index_select(0, group.tile_run) : x).view({pairs, width, head_dim_});
    };
    const at::Tensor tile_keys = of_runs(keys), tile_values = of_runs(values);

    const at::Tensor seen = at::bmm(queries.view({pairs, tile_ * per_kv, head_dim_}), tile_keys.transpose(1, 2));
    const at::Tensor mask = group.mask.index_select(0, group.tile_run).view({tiles, 1, 1, 1, width});
    const at::Tensor own = (queries * own_key).sum(-1, /*keepdim=*/true);
    const at::Tensor scores =
        at::cat({scaled(seen).view({tiles, kv_heads_, tile_, per_kv, width}) + mask, scaled(own)}, -1);
    const at::Tensor weights = rounded(at::softmax(scores, -1), precision_);

    const at::Tensor seen_weights = weights.narrow(-1, 0, width).reshape({pairs, tile_ * per_kv, width});
    at::Tensor mixed = at::bmm(seen_weights, tile_values).view({tiles, kv_heads_, tile_, per_kv, head_dim_});
    mixed = rounded(mixed + weights.narrow(-1, width, 1) * own_value, precision_);
    const at::Tensor by_row = mixed.transpose(1, 2).reshape({tiles * tile_, heads_ * head_dim_});
    out.index_copy_(0, group.row_home, by_row.index_select(0, group.row_valid));
}

}  // namespace moesweep
