// Attention of a pass: every run is a context (all positions but the last) and any number of rows, each of which stands
// at the last position and sees its run's context and itself. The last position of the clean or noised run is such a
// row too, so a row whose patch is zero takes the noised run's path and has its bits. Contexts are among the hidden
// states, or their keys and values are remembered from before (engine/kv_cache.h).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "moesweep/config/config.h"
#include "moesweep/model/model_config.h"

namespace moesweep {

/// A run's context, in rows of the pass's hidden states or of a cache.
struct Context {
    std::int64_t begin = 0;   ///< its first row
    std::int64_t length = 0;  ///< T - 1, may be 0
};

class Attention {
  public:
    enum class Runs {
        shared,   ///< contexts among the hidden states, of any number of rows: a sweep's
        prompts,  ///< the same of one row each
        cached,   ///< contexts in a cache, of one row each
    };
    /// `contexts`, one per run. Among the hidden states they fill rows [0, contexts_end) without a hole.
    Attention(const Heads& heads, std::vector<Context> contexts, Precision precision, c10::Device device = at::kCPU,
              Runs runs = Runs::shared);

    /// Appends a row of each given run after those that are there.
    void add_rows(std::span<const std::int64_t> runs);

    /// Mixes values of the queries, keys and values [N, H + 2 Hkv, Dh] (see DecoderLayer::project_heads) of all N =
    /// contexts and rows: [N, H Dh], or without `with_contexts` only the rows' part [R, H Dh].
    at::Tensor mix(const at::Tensor& heads, bool with_contexts) const;
    /// The same of contexts in a cache, whose rows are keys and values [2 Hkv, Dh]: [R, H Dh] of R rows.
    at::Tensor mix(const at::Tensor& heads, const at::Tensor& cache) const;

    std::int64_t contexts_end() const { return contexts_end_; }
    std::int64_t rows() const { return static_cast<std::int64_t>(row_run_.size()); }
    const std::vector<std::int64_t>& row_runs() const { return row_run_; }

  private:
    /// Runs whose contexts are padded to one width: they share batched products. The width depends on nothing but the
    /// context's own length, so no other run changes a shape, and with it the bits.
    struct Group {
        std::int64_t width = 0;
        std::vector<std::int64_t> runs;
        at::Tensor tokens;       ///< [runs width] rows of the hidden states or of the cache, padded with row 0
        at::Tensor valid, home;  ///< [tokens without padding] place in `tokens` and row of the hidden states
        at::Tensor mask;         ///< [runs, width] 0 or -inf where padded
        at::Tensor tile_run;     ///< [tiles] place in `runs`
        at::Tensor tile_rows;  ///< [tiles x rows of a tile] rows of the hidden states, the last one repeated as padding
        at::Tensor row_valid, row_home;
    };
    void pad_contexts();
    void list_contexts();
    at::Tensor indices(const std::vector<std::int64_t>& values) const;
    /// Rows ordered by run and cut into tiles.
    void tile_rows(Group& group) const;
    /// keys, values: the group's padded contexts [runs, Hkv, width, Dh]. Results go to their rows of `out`.
    void attend_contexts(const Group& group, const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                         const at::Tensor& out) const;
    void attend_rows(const Group& group, const at::Tensor& heads, const at::Tensor& keys, const at::Tensor& values,
                     const at::Tensor& out) const;
    /// kv [*, 2 Hkv, Dh] holds the contexts' keys and values: [N, H Dh], of which the contexts' part may be unset.
    at::Tensor mix(const at::Tensor& heads, const at::Tensor& kv, bool with_contexts) const;

    at::Tensor scaled(const at::Tensor& scores) const;  ///< q k^T / sqrt(Dh)

    /// mix() on another device, where no run need be padded: kernels/.
    at::Tensor mix_by_kernels(const at::Tensor& heads, const at::Tensor& kv, std::int64_t begin) const;

    std::int64_t heads_, kv_heads_, head_dim_;
    Precision precision_;
    c10::Device device_;
    Runs runs_;
    std::int64_t tile_;  // rows of one run that share a product with its keys
    std::int64_t contexts_end_ = 0;
    std::vector<Context> contexts_;
    std::vector<Group> groups_;  // on the CPU
    std::vector<std::int64_t> row_run_;
    at::Tensor first_, count_;  // [N] int32, on another device: the rows that each row sees beside itself
};

}  // namespace moesweep
