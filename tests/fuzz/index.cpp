// model.safetensors.index.json beside two sound shards of a tensor each.
#include "fuzz.h"
#include "moesweep/model/checkpoint.h"

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
        const std::vector<ExpectedTensor> expected = {{"a", {1}}, {"b", {1}}};
        const Checkpoint checkpoint = Checkpoint::open(folder.folder(), expected);
        if (!checkpoint.whole()) fail(Exit::data, "{}", checkpoint.problems()[0]);
    });
    return 0;
}
