// A model's tensors as they lie in a Hugging Face folder: each under its own name, in whichever file and layout it is.
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "moesweep/model/model_tensors.h"
#include "moesweep/model/safetensors.h"

namespace moesweep {

/// What is expected of one set of files: model.safetensors, or the shards of model.safetensors.index.json.
class Checkpoint {
  public:
    /// Looks for all that is expected. Where a folder has both sets, the one that is whole counts, with a note of the
    /// other. Error(data) if both are whole, or if there is none; Error(io) if a file cannot be read. All else is a
    /// problem.
    static Checkpoint open(const std::filesystem::path& folder, std::span<const ExpectedTensor> expected);

    /// Why the checkpoint is not whole, a line each that names file and tensor: a file that is missing or truncated, a
    /// broken header or index; a tensor that is missing, not in the shard that the index names, in two shards without
    /// the index naming one, stored in two layouts, of another shape than expected, or not BF16, F16 or F32.
    const std::vector<std::string>& problems() const { return problems_; }
    bool whole() const { return problems_.empty(); }
    /// What was passed over: files and second copies that are not needed.
    const std::vector<std::string>& notes() const { return notes_; }

    /// Copies in two files of what is needed, where transformers takes the other one than the index names: the last
    /// file's.
    struct Copies {
        TensorView used, last;
        bool same_bytes() const;  ///< reads both
    };
    const std::vector<Copies>& copies() const { return copies_; }

    /// Where an expected tensor lies. It must be one of those that were found.
    const TensorView& at(const std::string& name) const { return tensors_.at(name); }
    std::size_t found() const { return tensors_.size(); }

    /// The tensors that hold what is expected, and all others, by the names under which they are stored.
    const std::map<std::string, TensorView>& stored() const { return stored_; }
    const std::map<std::string, TensorView>& unexpected() const { return unexpected_; }
    /// The files that decide what is read, sorted by name: those that hold it, and the index if it chose between
    /// copies.
    std::vector<std::filesystem::path> files() const;

  private:
    /// `source` is model.safetensors or the index.
    Checkpoint(const std::filesystem::path& source, std::span<const ExpectedTensor> expected);
    struct Contents;
    Contents open_files();
    TensorView locate(const Contents& contents, const ExpectedTensor& tensor);
    void note_what_is_passed_over(const Contents& contents);

    std::filesystem::path source_;
    std::map<std::filesystem::path, InputFile> files_;
    std::map<std::string, TensorView> tensors_, stored_, unexpected_;
    bool index_chose_ = false;
    std::vector<Copies> copies_;
    std::vector<std::string> problems_, notes_;
};

}  // namespace moesweep
