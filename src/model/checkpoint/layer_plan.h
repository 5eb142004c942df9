// A layer before it is read: where its tensors lie in memory, and which bytes of which files they are made of.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "moesweep/model/weights.h"

namespace moesweep {

/// A stored tensor and where it goes.
struct Part {
    const TensorView* view;  ///< the checkpoint's
    at::ScalarType dtype;    ///< there
    std::int64_t to;         ///< byte of the layer's memory at which it begins
};

/// Bytes [begin, end) of a file that are read in one go. No block of a stored form lies in two pieces.
struct Piece {
    const InputFile* file;
    std::uint64_t begin, end;
    std::size_t first_part;  ///< the first of the plan's parts that has bytes here
};
inline constexpr std::uint64_t most_piece_bytes = std::uint64_t{4} << 20;

struct LayerPlan {
    LayerWeights weights;       ///< slices of the memory given; undefined tensors without memory
    std::int64_t bytes = 0;     ///< of that memory: each tensor begins at a multiple of 64
    std::vector<Part> parts;    ///< by file and offset
    std::vector<Piece> pieces;  ///< cover the parts, in this order; neighbours in a file share a piece
};

/// Plans a layer with the experts of a share, into `memory` [bytes] of uint8; undefined memory: its sizes alone.
/// Matrices get the run's matrix_dtype, norms, biases and routers its dtype. Error(internal) for a layer or a share
/// that is not there, Error(data) for a matrix that is to be bf16 and is stored otherwise.
LayerPlan plan_layer(const Weights& weights, std::int64_t index, ExpertShare share, const at::Tensor& memory = {});

/// Bytes that the parts take in their files.
std::int64_t file_bytes(const LayerPlan& plan);

}  // namespace moesweep
