// Who reads while others compute is also watched by ThreadSanitizer, in a build folder configured with
// -DMOESWEEP_SANITIZE=thread (torch itself is not instrumented):
//
//     TSAN_OPTIONS="ignore_noninstrumented_modules=1 suppressions=../shared/kit/tsan.supp" build/tsan/test_model
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "catch_beside_torch.h"
#include "moesweep/base/files.h"
#include "stored_model.h"
#include "support.h"

using namespace moesweep;
namespace fs = std::filesystem;

namespace {

struct Opened {
    Scratch scratch;
    StoredModel model;
    Weights weights;
    std::vector<LayerWeights> layers;  ///< all experts, each read on its own

    explicit Opened(const Json& json, Precision precision = Precision::fp32, ExpertLayout layout = ExpertLayout::single)
        : model(write_stored_model(scratch.folder(), json, 9,
                                   precision == Precision::split ? std::vector<std::string>{"BF16"}
                                                                 : std::vector<std::string>{"F32", "BF16", "F16"},
                                   layout)),
          weights(scratch.folder(), model.config, precision) {
        for (std::int64_t l = 0; l < count(); ++l) layers.push_back(weights.layer(l));
    }
    std::int64_t count() const { return model.config.num_hidden_layers; }
    std::int64_t experts() const { return model.config.router.num_experts; }

    /// Whether the source has layers [0, end) of a whole pass right.
    bool right(LayerSource& source, std::int64_t end) const {
        for (std::int64_t l = 0; l < end; ++l)
            if (!same_bits(source.layer(l), layers[static_cast<std::size_t>(l)])) return false;
        return true;
    }
};

/// Bytes on disk of the tensors that a share of all layers needs, counted by their names.
std::int64_t bytes_of_share(const StoredModel& model, ExpertShare share) {
    std::int64_t total = 0;
    for (const auto& [name, bytes] : model.bytes) {
        const auto at = name.find(".experts.");
        if (!name.starts_with("model.layers.")) continue;
        const int expert = at == std::string::npos ? -1 : std::stoi(name.substr(at + 9));
        if (expert < 0 || (expert >= share.first && expert < share.end)) total += static_cast<std::int64_t>(bytes);
    }
    return total;
}

/// Pages of a file in the page cache, and all its pages.
std::pair<std::size_t, std::size_t> cached_pages(const fs::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    const std::size_t size = fs::file_size(path), page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    ::close(descriptor);
    std::vector<unsigned char> resident((size + page - 1) / page);
    REQUIRE(::mincore(map, size, resident.data()) == 0);
    ::munmap(map, size);
    return {static_cast<std::size_t>(std::ranges::count_if(resident, [](auto r) { return r & 1; })), resident.size()};
}

std::string family() {
    return GENERATE(as<std::string>{}, "qwen3_moe", "mixtral", "glm4_moe");
}

}  // namespace

TEST_CASE("Streamed and resident layers have the bits of layers read alone, pass after pass") {
    const Opened opened(tiny_config(family()), GENERATE(Precision::fp32, Precision::fp64, Precision::split),
                        GENERATE(ExpertLayout::single, ExpertLayout::fused));
    const auto ranks = GENERATE(std::int64_t{1}, 2, 3, 11);  // no divisor of the experts, and more than there are
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const ExpertShare share = expert_share(opened.experts(), rank, ranks);
        LayerSource resident(opened.weights, share, false), streamed(opened.weights, share, true);
        for (int pass = 0; pass < 3; ++pass) {
            for (std::int64_t l = 0; l < opened.count(); ++l) {
                const LayerWeights alone = opened.weights.layer(l, share);
                REQUIRE(same_bits(resident.layer(l), alone));
                REQUIRE(same_bits(streamed.layer(l), alone));
            }
        }
    }
}

TEST_CASE(
    "A source reads the bytes that its layers take in the files, once a pass, and takes the memory that it says") {
    const Opened opened(tiny_config(family()), GENERATE(Precision::fp32, Precision::split),
                        GENERATE(ExpertLayout::single, ExpertLayout::fused));
    const auto share = GENERATE(ExpertShare{0, 5}, ExpertShare{1, 3}, ExpertShare{2, 2});
    const std::int64_t bytes = bytes_of_share(opened.model, share);
    std::int64_t file_bytes = 0, memory = 0, largest = 0;
    for (std::int64_t l = 0; l < opened.count(); ++l) {
        file_bytes += opened.weights.layer_file_bytes(l, share);
        memory += opened.weights.layer_bytes(l, share);
        largest = std::max(largest, opened.weights.layer_bytes(l, share));
        std::size_t bytes_of_layer = 0;
        for (const auto& tensor : tensors_of(opened.weights.layer(l, share)))
            bytes_of_layer += (tensor.nbytes() + 63) / 64 * 64;
        CHECK(opened.weights.layer_bytes(l, share) == static_cast<std::int64_t>(bytes_of_layer));
    }
    CHECK(file_bytes == bytes);

    const LayerSource resident(opened.weights, share, false);
    CHECK(resident.bytes_read() == bytes);
    CHECK(resident.memory_bytes() == memory);
    CHECK(resident.seconds_waited() == 0);

    LayerSource streamed(opened.weights, share, true);
    CHECK(streamed.bytes_read() == 0);
    CHECK(streamed.memory_bytes() == 2 * largest + (4 << 20));
    for (std::int64_t pass = 1; pass <= 3; ++pass) {
        for (std::int64_t l = 0; l < opened.count(); ++l) streamed.layer(l);
        CHECK(streamed.bytes_read() == pass * bytes);
    }
    CHECK(streamed.seconds_waited() > 0);
    CHECK((streamed.share().first == share.first && streamed.share().end == share.end));
    CHECK((streamed.streamed() && !resident.streamed()));
}

TEST_CASE("Layers that are made, not read, lie where those that are read do") {
    const Opened opened(tiny_config(family()), GENERATE(Precision::fp32, Precision::fp64, Precision::split));
    const auto share = GENERATE(ExpertShare{0, 5}, ExpertShare{1, 3});
    const LayerSource::Make make = [&](const std::string& name, const at::Tensor& values) {
        auto numbers = opened.model.tensors.at(name);
        values.copy_(at::from_blob(numbers.data(), values.sizes(), at::kDouble));
    };
    LayerSource made(opened.weights, share, make), read(opened.weights, share, false);
    for (int pass = 0; pass < 2; ++pass)
        for (std::int64_t l = 0; l < opened.count(); ++l) REQUIRE(same_bits(made.layer(l), read.layer(l)));
    CHECK(made.memory_bytes() == read.memory_bytes());
    CHECK((made.bytes_read() == 0 && !made.streamed()));
}

TEST_CASE("Streamed layers take turns in two buffers") {
    const Opened opened(tiny_config("mixtral"));
    LayerSource source(opened.weights, {0, 5}, true);
    std::vector<const void*> places;
    for (int pass = 0; pass < 2; ++pass)
        for (std::int64_t l = 0; l < 4; ++l) places.push_back(source.layer(l).input_norm.data_ptr());
    CHECK(places[0] != places[1]);
    for (std::size_t i = 2; i < places.size(); ++i) CHECK(places[i] == places[i - 2]);
}

TEST_CASE("The layer in use stays as it is while the next one is read") {
    const Opened opened(tiny_config("qwen3_moe"));
    LayerSource source(opened.weights, {0, 6}, true);
    for (int pass = 0; pass < 20; ++pass)
        for (std::size_t l = 0; l < 4; ++l) {
            const LayerWeights& layer = source.layer(static_cast<std::int64_t>(l));
            for (int look = 0; look < 3; ++look) REQUIRE(same_bits(layer, opened.layers[l]));
        }
}

TEST_CASE("A pass may be abandoned at any layer, layers asked for in any order, and a source dropped while it reads") {
    const Opened opened(tiny_config("glm4_moe"));
    LayerSource source(opened.weights, {0, 8}, true);
    for (std::int64_t end = 0; end <= opened.count(); ++end) {
        REQUIRE(opened.right(source, end));
        REQUIRE(opened.right(source, opened.count()));
    }
    for (const std::int64_t l : {3, 1, 1, 2, 0, 3, 3, 2, 1, 0})
        REQUIRE(same_bits(source.layer(l), opened.layers[static_cast<std::size_t>(l)]));
    for (std::int64_t end = 0; end <= opened.count(); ++end) {
        LayerSource dropped(opened.weights, {0, 8}, true);
        REQUIRE(opened.right(dropped, end));
    }
    CHECK(failure_of([&] { source.layer(4); }).message == "layer 4 of 4 asked for");
    CHECK(failure_of([&] { source.layer(-1); }).code == Exit::internal);
    CHECK(opened.right(source, opened.count()));
}

TEST_CASE("A NaN in a layer is an error of that layer, in every pass until it is mended") {
    const auto layout = GENERATE(ExpertLayout::single, ExpertLayout::fused);
    const Opened opened(tiny_config("qwen3_moe"), Precision::fp32, layout);
    const std::string name = "model.layers.3.mlp.experts.4.down_proj.weight";
    const auto& place = opened.model.places.at(name);
    const std::string sound = bytes_at(place.file, place.offset, 4);
    LayerSource source(opened.weights, {0, 6}, true), elsewhere(opened.weights, {0, 4}, true);
    overwrite(place.file, place.offset, "\xff\xff\xff\xff");

    const std::string within = layout == ExpertLayout::fused ? " (in model.layers.3.mlp.experts.down_proj)" : "";
    const std::string message = place.file.string() + ": " + name + within + ": holds a NaN or an infinity";
    for (int pass = 0; pass < 2; ++pass) {
        REQUIRE(opened.right(source, 3));
        for (int again = 0; again < 2; ++again) {
            const Failure failure = failure_of([&] { source.layer(3); });
            CHECK(failure.code == Exit::data);
            CHECK(failure.message == message);
        }
    }
    REQUIRE(opened.right(source, 3));  // layer 3 has failed by now, or will: nobody asks
    REQUIRE(opened.right(source, 3));
    for (std::int64_t l = 0; l < 4; ++l) CHECK(failure_of([&] { elsewhere.layer(l); }).code == Exit::done);
    CHECK(failure_of([&] { LayerSource resident(opened.weights, {0, 6}, false); }).message == message);
    {
        LayerSource dropped(opened.weights, {0, 6}, true), also(opened.weights, {0, 6}, true);
        REQUIRE(opened.right(also, 3));
    }

    overwrite(place.file, place.offset, sound);
    CHECK(opened.right(source, 4));
}

TEST_CASE("A file that is cut while it is open is an error that names it, and later passes read what is there again") {
    const Opened opened(tiny_config("mixtral"));
    const fs::path file = opened.scratch / "two.safetensors";
    const std::string whole = read_file(file);
    LayerSource source(opened.weights, {0, 5}, true);
    REQUIRE(opened.right(source, 4));

    fs::resize_file(file, 1000);
    Failure failure;
    for (std::int64_t l = 0; l < 4 && failure.code == Exit::done; ++l) failure = failure_of([&] { source.layer(l); });
    CHECK(failure.code == Exit::io);
    CHECK(failure.message.starts_with(file.string() + ": cannot be read: "));
    CHECK(failure.message.ends_with(": it has been truncated"));

    overwrite(file, 0, whole);
    CHECK(opened.right(source, 4));
}

TEST_CASE("A streamed pass leaves next to nothing in the page cache, a resident model stays there") {
    Json json = tiny_config("mixtral");
    json.update({{"hidden_size", 400}, {"intermediate_size", 900}, {"num_local_experts", 4}});
    const Opened opened(json);
    const auto cached = [&] {
        const auto one = cached_pages(opened.scratch / "one.safetensors");
        const auto two = cached_pages(opened.scratch / "two.safetensors");
        return static_cast<double>(one.first + two.first) / static_cast<double>(one.second + two.second);
    };
    for (const char* name : {"one.safetensors", "two.safetensors"}) {
        const InputFile file(opened.scratch / name);
        const int descriptor = ::open(file.path().c_str(), O_RDWR);
        REQUIRE(::fsync(descriptor) == 0);  // pages that wait to be written cannot be dropped
        ::close(descriptor);
        file.drop_cached(0, file.size());
    }
    if (cached() > 0.01) {
        WARN("skipped: this file system keeps its files in the page cache");
        return;
    }
    LayerSource source(opened.weights, {0, 4}, true);
    REQUIRE(opened.right(source, 4));
    CHECK(cached() < 0.05);
    const LayerSource resident(opened.weights, {0, 4}, false);
    CHECK(cached() > 0.9);
}
