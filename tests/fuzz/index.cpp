// model.safetensors.index.json beside two sound shards of a tensor each.
#include "fuzz.h"
#include "moesweep/safetensors.h"

using namespace moesweep;

namespace {

/// A file with one F32 tensor of a single zero.
std::string shard(const std::string& tensor) {
    const std::string header = fmt::format(R"({{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}})", tensor);
    return static_cast<char>(header.size()) + std::string(7, '\0') + header + std::string(4, '\0');
}

struct Shards : Scratch {
    Shards() {
        fuzz::write(*this / "one", shard("a"));
        fuzz::write(*this / "two", shard("b"));
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Shards folder;
    fuzz::write(folder / "model.safetensors.index.json", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] {
        const Checkpoint checkpoint(folder.folder());
        checkpoint.get("a", std::vector<std::int64_t>{1});
    });
    return 0;
}
