// SHA-256 of what a run is about, and RUN/weights.sha256: a line for every file of weights whose digest is known.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"

namespace moesweep {

struct Digests {
    std::string weights;  ///< of the lines "<sha256>  <file name>" that sha256sum prints for the files, sorted by name
    std::string tokenizer, method_file;
    std::string known;  ///< for RUN/weights.sha256
};

/// The ranks divide the files of weights. What the folder `run` knows of a file of the same path, size and time holds,
/// unless `verify` says to read it again. Complete on root alone. SharedError(io).
Digests digest(const std::vector<std::filesystem::path>& weights, const std::filesystem::path& model_folder,
               const std::filesystem::path& method_file, const std::filesystem::path& run, bool verify,
               const Comm& world);
/// Notes the digests in the folder of a run that is theirs.
void keep_digests(const std::filesystem::path& run, const Digests& digests);

}  // namespace moesweep
