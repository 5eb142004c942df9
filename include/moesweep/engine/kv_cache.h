// The keys and values of sequences that are being decoded, for every layer.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "moesweep/model/weights.h"

namespace moesweep {

/// A pool of rows, of which each sequence holds a stretch, the same one in every layer.
class KvCache {
  public:
    KvCache(const Weights& weights, std::int64_t rows);

    /// The first of `rows` free rows in a stretch, the lowest there is; nothing where there is none.
    std::optional<std::int64_t> reserve(std::int64_t rows);
    void release(std::int64_t begin, std::int64_t rows);

    /// [rows, 2 Hkv, Dh]: keys, then values.
    const at::Tensor& layer(std::int64_t l) const { return layers_[static_cast<std::size_t>(l)]; }

    /// Bytes of a row in all layers.
    static std::int64_t bytes_of_row(const ModelConfig& config, std::int64_t element_bytes) {
        return config.num_hidden_layers * 2 * config.heads.num_key_value_heads * config.heads.head_dim * element_bytes;
    }

  private:
    std::vector<at::Tensor> layers_;
    std::map<std::int64_t, std::int64_t> free_;  // begin -> end of every free stretch; no two touch
};

}  // namespace moesweep
