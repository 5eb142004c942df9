// safetensors files. Headers are read and validated as the reference implementation does (at most 100 MB, offsets in
// order without hole or overlap, size = shape x dtype, no duplicate key). Data is read when asked for, by place:
// nothing is mapped, so a file that is cut meanwhile is an error and not the end of the process.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "moesweep/base/files.h"

namespace moesweep {

/// The place of a tensor, or of a part of one, in a file. Valid as long as the file is open.
struct TensorView {
    std::string name;   ///< as stored; for messages
    std::string dtype;  ///< as in the header: "BF16", "F16", "F32", ...
    std::vector<std::int64_t> shape;
    const InputFile* file;
    std::uint64_t offset, bytes;  ///< in the file

    std::string where() const { return file->path().string(); }  ///< for messages
    /// Fills `out` with its bytes from `begin` on. Error(io) as InputFile::read.
    void read(std::uint64_t begin, std::span<std::byte> out) const { file->read(offset + begin, out); }
};

/// "[128, 2048]", for messages.
std::string shape_text(std::span<const std::int64_t> shape);

/// All tensors of a file, in the order of their data. Error(data) names the file and the field of a broken header.
std::vector<TensorView> read_tensors(const InputFile& file);

}  // namespace moesweep
