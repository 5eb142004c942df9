// How a run is laid out over the ranks and their memory, before anything is computed: how many ranks share a model,
// whether it stays in memory, and how many items a pass and a micro-batch take. It changes no number.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/config/config.h"
#include "moesweep/model/weights.h"

namespace moesweep {

/// Memory of one rank, in bytes, at most.
struct Memory {
    std::int64_t limit = 0;    ///< run.memory
    std::int64_t program = 0;  ///< libraries, tokenizer, inputs
    std::int64_t weights = 0;  ///< of the largest share: all its layers, or the buffers of streaming
    std::int64_t rows = 0;     ///< what a pass keeps from layer to layer, and its results
    std::int64_t step = 0;     ///< what micro-batches in flight need for a while
    std::int64_t total() const { return program + weights + rows + step; }
};

struct Layout {
    std::int64_t experts = 1;  ///< ranks of an expert group, at least
    bool streamed = false;
    std::int64_t units_per_pass = 1;  ///< of a rank
    std::int64_t items_per_micro_batch = 1;
    std::int64_t items_in_flight = 1;      ///< of a pass whose items wait for each other's room; else all
    std::int64_t items_per_base_pass = 1;  ///< of a pass that makes base rows alone, on a rank
    Memory memory;

    /// For a pass in which the busiest rank of a group has `items`: two at least where they travel.
    std::int64_t micro_batches(std::int64_t items) const;
};

/// The size of what a pass computes.
struct Workload {
    std::int64_t tokens = 0;      ///< of the longest sequence
    std::int64_t base_rows = 0;   ///< of hidden states, of an item: all positions of its sequences
    std::int64_t more_rows = 0;   ///< that an item gets on the way, at most
    std::int64_t kept_bytes = 0;  ///< of an item's results, beside its rows
    std::int64_t items = 0;       ///< at most

    // Of a pass that lets an item in when another has ended (engine/decode.h); such passes are long.
    bool waits = false;
    std::int64_t flight_bytes = 0;  ///< of an item in flight, beside its rows: its keys and values in all layers
    std::int64_t items_wanted = 1;  ///< in flight, that products be large

    std::int64_t rows() const { return base_rows + more_rows; }  ///< of an item
};

/// The ranks at hand.
struct Ranks {
    std::int64_t world = 1;
    std::int64_t node = 1;          ///< of the smallest node
    std::int64_t memory_limit = 0;  ///< bytes a rank may take
    std::int64_t program = 0;       ///< bytes that the largest one takes before it holds weights
};

/// Bytes that this process may use: the least of the machine's memory and its control groups' limits.
std::int64_t available_memory();
/// Bytes that this process holds now.
std::int64_t resident_memory();
/// For the rest of the process. Each step of a pass frees blocks of many megabytes and asks for the like of them again.
/// By default glibc hands such blocks back to the kernel, which must clear every page anew: a fifth of the run
/// (bench/RESULTS.md).
void keep_freed_memory();

/// The memory is the GPU's where ranks run on GPUs, divided among those that share one. Every rank calls it and gets
/// the same.
Ranks look_at_ranks(const RunConfig& config, const Comm& world, c10::Device device);

/// parallel.experts and model.weights as given; where they say auto, the first that fits into memory of: resident with
/// 1, 2, 4 ... ranks to a group, streamed with 1, 2, 4 ... No group is larger than a node unless asked for.
/// Where none fits, the smallest. Error(usage) if more ranks are asked for than there are.
Layout choose_layout(const RunConfig& config, const Weights& weights, const Workload& work, const Ranks& ranks);

/// Error(usage) if run.memory is a size that the layout does not keep. A share of what there is may be exceeded.
void expect_to_fit(const RunConfig& config, const Layout& layout);

/// What would let a run fit whose layout does not, each laid out and found to fit: split where the run has more, fewer
/// ranks on a node or more nodes, with the options that go along, and more memory.
std::vector<std::string> ways_to_fit(const RunConfig& config, const Weights& weights, const Workload& work,
                                     const Ranks& ranks);

/// This rank's expert group: neighbours on a node, `experts` of them or somewhat more where the ranks do not divide.
Comm expert_group(const Comm& world, std::int64_t experts);

}  // namespace moesweep
