// model.safetensors: first with a header length that is made to fit the JSON, which mutations would otherwise break,
// then the bytes as they are.
#include <algorithm>
#include <cstring>

#include "fuzz.h"
#include "moesweep/model/checkpoint.h"

using namespace moesweep;

namespace {

std::string with_fitting_length(std::string_view file) {
    std::string fitting(file);
    const std::size_t end = fitting.rfind('}');
    if (end == fitting.npos || end < sizeof(std::uint64_t)) return fitting;
    const std::uint64_t length = end + 1 - sizeof length;
    std::memcpy(fitting.data(), &length, sizeof length);
    return fitting;
}

void read_checkpoint(const std::filesystem::path& folder) {
    // "half" is the second half of "a" if it is not stored on its own.
    const std::vector<ExpectedTensor> expected = {{"a", {2, 1}}, {"half", {1}, {{"a", {2, 1}, 1}}}};
    const Checkpoint checkpoint = Checkpoint::open(folder, expected);
    if (!checkpoint.whole()) fail(Exit::data, "{}", checkpoint.problems()[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    const std::string_view raw = fuzz::text_of({data, size});
    for (const std::string& file : {with_fitting_length(raw), std::string(raw)}) {
        fuzz::write(folder / "model.safetensors", file);
        fuzz::expect_value_or_error([&] { read_checkpoint(folder.folder()); });
    }
    return 0;
}
