// Reads planned layers into memory. Touches no torch state but the memory it fills: any thread may do it.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <stop_token>

#include "layer_plan.h"

namespace moesweep {

/// Memory for a layer: [bytes] of uint8, page-aligned, straight from the system and back to it with the last tensor
/// that lies in it, so that a process takes what its layers take. Error(io) if the system has none.
at::Tensor map_memory(std::int64_t bytes);

/// What a reader keeps from layer to layer. One thread at a time.
class LayerReader {
  public:
    /// drop_cached: leave nothing of what is read in the page cache.
    explicit LayerReader(bool drop_cached) : drop_cached_(drop_cached) {}

    /// Fills the memory of a plan. Once a stop is requested it returns early and leaves the memory as it is.
    /// Error(data) names file and tensor of a NaN or an infinity, Error(io) the file that cannot be read.
    void read(const LayerPlan& plan, const at::Tensor& memory, const std::stop_token& stop = {});

    std::int64_t bytes_read() const { return bytes_read_; }  ///< of files, so far; any thread may ask
    std::int64_t memory_bytes() const { return most_piece_bytes; }

  private:
    std::unique_ptr<std::byte[]> piece_ = std::make_unique_for_overwrite<std::byte[]>(most_piece_bytes);
    bool drop_cached_;
    std::atomic<std::int64_t> bytes_read_ = 0;
};

}  // namespace moesweep
