// Who supplies a layer is decided here alone: a pass asks a LayerSource for its layers in order, whether they lie in
// memory or come from the disk.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "moesweep/model/weights.h"

namespace moesweep {

/// Supplies the layers of pass after pass, on the device of the weights.
///   resident: all layers are read once, by the constructor.
///   streamed: while layer l is in use a thread reads layer l + 1 into the other of two buffers, which are all the
///     memory it takes (2 x the largest layer in the run's precision, and a piece of the file); what has been read is
///     dropped from the page cache, so that the cache is not what holds the model. Layer 0 of the next pass is read
///     when asked for.
/// Off the CPU, layers are read into two more buffers of the host, whence they are copied while the device computes.
class LayerSource {
  public:
    LayerSource(const Weights& weights, ExpertShare share, bool streamed);
    /// Resident layers whose values are not read: `make` writes those of each stored tensor, given its name there and
    /// its place [as stored] on the device. For benchmarks of models too large to be carried to where they run.
    using Make = std::function<void(const std::string& name, const at::Tensor& values)>;
    LayerSource(const Weights& weights, ExpertShare share, const Make& make);
    ~LayerSource();
    LayerSource(const LayerSource&) = delete;
    LayerSource& operator=(const LayerSource&) = delete;

    /// Layer `index`, valid until the next call. Passes ask for 0, 1, ... L - 1; one that was abandoned may be followed
    /// by another from 0. An Error of the reader is thrown here.
    const LayerWeights& layer(std::int64_t index);

    ExpertShare share() const;
    bool streamed() const;
    /// That the weights take on their device; on the CPU with the reader's buffer.
    std::int64_t memory_bytes() const;
    std::int64_t bytes_read() const;  ///< of the checkpoint so far
    double seconds_waited() const;    ///< by layer() for the reader

  private:
    void open(const Weights& weights);

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace moesweep
