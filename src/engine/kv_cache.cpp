#include "moesweep/engine/kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>

namespace moesweep {

KvCache::KvCache(const Weights& weights, std::int64_t rows) {
    const ModelConfig& config = weights.config();
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l)  // zeros: what no sequence holds is read, but weighs 0
        layers_.push_back(
            at::zeros({rows, 2 * config.heads.num_key_value_heads, config.heads.head_dim}, weights.options()));
    if (rows > 0) free_[0] = rows;
}

std::optional<std::int64_t> KvCache::reserve(std::int64_t rows) {
    const auto found = std::ranges::find_if(free_, [&](const auto& s) { return s.second - s.first >= rows; });
    if (found == free_.end()) return std::nullopt;
    const auto [begin, end] = *found;
    free_.erase(found);
    if (begin + rows < end) free_[begin + rows] = end;
    return begin;
}

void KvCache::release(std::int64_t begin, std::int64_t rows) {
    auto stretch = free_.emplace(begin, begin + rows).first;
    if (const auto next = std::next(stretch); next != free_.end() && next->first == stretch->second) {
        stretch->second = next->second;
        free_.erase(next);
    }
    if (stretch == free_.begin()) return;
    if (const auto previous = std::prev(stretch); previous->second == stretch->first) {
        previous->second = stretch->second;
        free_.erase(stretch);
    }
}

}  // namespace moesweep
