// What a streamed pass over a checkpoint costs, computing nothing, compared with reading its files. Usage:
//
//     streaming make FOLDER LAYERS      a checkpoint with layers of Qwen3-30B-A3B's true shape, 1.2 GB each, random
//     streaming run FOLDER [ROUNDS]     bytes read per pass, and cold seconds, alternating with plain reads
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "moesweep/base/files.h"
#include "moesweep/model/layer_source.h"
#include "timing.h"
#include "true_shapes.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t piece_bytes = std::size_t{4} << 20;

void make(const fs::path& folder, int layers) {
    write_checkpoint(folder, shape_of("qwen3", layers), Layers::random);
    ::sync();  // dirty pages cannot be dropped from the cache
}

using Files = std::vector<InputFile>;

void drop_cached(const Files& files) {
    for (const auto& file : files) file.drop_cached(0, file.size());
}

/// Reads all files from begin to end, in pieces.
void read_plainly(const Files& files) {
    std::vector<std::byte> piece(piece_bytes);
    for (const auto& file : files)
        for (std::uint64_t done = 0; done < file.size(); done += piece_bytes)
            file.read(done, std::span(piece).first(std::min(piece_bytes, file.size() - done)));
}

void stream(LayerSource& source, std::int64_t layers) {
    for (std::int64_t l = 0; l < layers; ++l) source.layer(l);
}

void run(const fs::path& folder, int rounds) {
    const ModelConfig config = read_model_config(folder);
    std::optional<Weights> weights;
    fmt::print("opened in {:.3f} s\n", seconds_of([&] { weights.emplace(folder, config, Precision::fp32); }));
    Files files;
    std::uint64_t file_bytes = 0;
    for (const auto& path : weights->checkpoint().files()) file_bytes += files.emplace_back(path).size();
    const ExpertShare all{0, config.router.num_experts};
    std::int64_t layer_bytes = 0;
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) layer_bytes += weights->layer_file_bytes(l, all);

    LayerSource source(*weights, all, /*streamed=*/true);
    std::vector<double> plain, streamed;
    for (int round = 0; round < rounds; ++round) {
        drop_cached(files);
        plain.push_back(seconds_of([&] { read_plainly(files); }));
        drop_cached(files);
        streamed.push_back(seconds_of([&] { stream(source, config.num_hidden_layers); }));
        fmt::print("plain {:.3f} s, streamed {:.3f} s\n", plain.back(), streamed.back());
    }
    const double read = static_cast<double>(source.bytes_read()) / rounds;
    const double plain_rate = static_cast<double>(file_bytes) / median(plain), rate = read / median(streamed);
    fmt::print("bytes read per pass / bytes of the layers  {:.4f} ({:.3f} GB)\n",
               read / static_cast<double>(layer_bytes), read * 1e-9);
    fmt::print("cold seconds per byte, streamed / plain    {:.3f} ({:.2f} GB/s, {:.2f} GB/s)\n", plain_rate / rate,
               rate * 1e-9, plain_rate * 1e-9);
    fmt::print("memory of the weights                      {:.3f} GB\n",
               static_cast<double>(source.memory_bytes()) * 1e-9);

    read_plainly(files);  // then the pass finds its bytes in the page cache: the cost of conversion alone
    fmt::print("streamed from the page cache               {:.2f} GB/s\n",
               read * 1e-9 / seconds_of([&] { stream(source, config.num_hidden_layers); }));
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    try {
        if (arguments.size() == 3 && arguments[0] == "make")
            make(arguments[1], std::stoi(arguments[2]));
        else if ((arguments.size() == 2 || arguments.size() == 3) && arguments[0] == "run")
            run(arguments[1], arguments.size() == 3 ? std::stoi(arguments[2]) : 5);
        else
            fail(Exit::usage, "usage: streaming make FOLDER LAYERS | streaming run FOLDER [ROUNDS]");
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
