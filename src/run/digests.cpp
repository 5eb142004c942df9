#include "digests.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <map>
#include <sstream>

#include "moesweep/base/files.h"
#include "moesweep/model/checkpoint.h"
#include "moesweep/model/model_tensors.h"
#include "moesweep/run/checkpoint_digest.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;

/// "<size> <mtime in ns> <absolute path>": as long as it stays the same, so does the file.
std::string stamp_of(const fs::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) fail(Exit::io, "{}: cannot be examined", file.string());
    return fmt::format("{} {} {}", status.st_size,
                       std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
                       fs::absolute(file).lexically_normal().string());
}

constexpr std::size_t digest_length = 64;
constexpr const char* known_file = "weights.sha256";

/// RUN/weights.sha256: a line "<SHA-256> <stamp>" for each file hashed before. A line that is none is nothing known.
std::map<std::string, std::string> read_known(const fs::path& path) {
    std::map<std::string, std::string> known;
    std::error_code unreachable;
    if (!fs::exists(path, unreachable)) return known;
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);)
        if (line.size() > digest_length + 1) known[line.substr(digest_length + 1)] = line.substr(0, digest_length);
    return known;
}

}  // namespace

Digests digest(const std::vector<fs::path>& files, const fs::path& model_folder, const fs::path& method_file,
               const fs::path& run, bool verify, const Comm& world) {
    std::vector<std::string> stamps;
    std::vector<std::int64_t> unknown;
    std::map<std::string, std::string> known;
    world.together([&] {
        for (const auto& file : files) stamps.push_back(stamp_of(file));
        if (!world.root()) return;
        if (!verify) known = read_known(run / known_file);
        for (std::size_t i = 0; i < files.size(); ++i)
            if (!known.contains(stamps[i])) unknown.push_back(static_cast<std::int64_t>(i));
    });
    unknown = world.broadcast(unknown);

    std::string hashed;  // by this rank: a digest for each of its files
    world.together([&] {
        // Neighbours in the list of files go to neighbours among the ranks, so that every node reads some.
        const auto n = unknown.size(), rank = static_cast<std::size_t>(world.rank()),
                   ranks = static_cast<std::size_t>(world.size());
        for (std::size_t i = n * rank / ranks; i < n * (rank + 1) / ranks; ++i)
            hashed += sha256_file(files[static_cast<std::size_t>(unknown[i])]);
    });
    const std::string digests = fmt::format("{}", fmt::join(world.gather_all(hashed), ""));
    Digests found;
    world.together([&] {
        if (!world.root()) return;
        for (std::size_t i = 0; i < unknown.size(); ++i)
            known[stamps[static_cast<std::size_t>(unknown[i])]] = digests.substr(i * digest_length, digest_length);
        std::string lines;
        for (std::size_t i = 0; i < files.size(); ++i)
            lines += fmt::format("{}  {}\n", known[stamps[i]], files[i].filename().string());
        found.weights = sha256(lines);
        found.tokenizer = sha256_file(model_folder / "tokenizer.json");
        found.method_file = sha256_file(method_file);
        for (const auto& [stamp, sha256_of] : known) found.known += fmt::format("{} {}\n", sha256_of, stamp);
    });
    return found;
}

void keep_digests(const std::filesystem::path& run, const Digests& digests) {
    const fs::path path = run / known_file;
    std::error_code unreachable;
    if (!fs::exists(path, unreachable) || read_file(path) != digests.known) write_file_atomically(path, digests.known);
}

std::string checkpoint_digest(const std::filesystem::path& model_folder, const std::filesystem::path& known,
                              const Comm& world) {
    std::vector<std::filesystem::path> files;
    world.together([&] {
        const ModelConfig config = read_model_config(model_folder);
        files = Checkpoint::open(model_folder, expected_tensors(config)).files();
        if (world.root()) make_writable_folder(known);
    });
    const Digests digests = digest(files, model_folder, model_folder / "config.json", known, /*verify=*/false, world);
    world.together([&] {
        if (world.root()) keep_digests(known, digests);
    });
    return world.broadcast(world.root() ? sha256(digests.weights + digests.tokenizer + digests.method_file)
                                        : std::string());
}

}  // namespace moesweep
