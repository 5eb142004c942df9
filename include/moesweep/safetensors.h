// Checkpoints as they lie on disk: safetensors files whose headers are read and validated as the reference implementation
// does (at most 100 MB, offsets in order without hole or overlap, size = shape x dtype, no duplicate key). Data is read when
// asked for, by place: nothing is mapped, so a file that is cut meanwhile is an error and not the end of the process.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "moesweep/files.h"

namespace moesweep {

/// A tensor's place in a file. Valid as long as its Checkpoint lives.
struct TensorView {
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

/// All tensors of a Hugging Face folder: model.safetensors, or model.safetensors.index.json and its shards.
class Checkpoint {
  public:
    /// Error(data) names the file and field: no checkpoint, missing or truncated shard, a broken header, a tensor that
    /// the index places in a shard that does not hold it, or that two shards hold.
    explicit Checkpoint(const std::filesystem::path& folder);

    /// nullptr if absent.
    const TensorView* find(const std::string& name) const;
    /// Error(data) if absent, or of another shape (expected and actual), or not BF16, F16 or F32.
    const TensorView& get(const std::string& name, std::span<const std::int64_t> shape) const;

    const std::map<std::string, TensorView>& tensors() const { return tensors_; }
    /// The safetensors files, sorted by name.
    std::vector<std::filesystem::path> files() const;

  private:
    void add_file(const std::filesystem::path& path);

    std::filesystem::path folder_;
    std::map<std::filesystem::path, InputFile> files_;
    std::map<std::string, TensorView> tensors_;
};

}  // namespace moesweep
