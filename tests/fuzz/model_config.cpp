// config.json, and the list of tensors that it asks for.
#include "moesweep/model/model_config.h"
#include "moesweep/model/model_tensors.h"

#include "fuzz.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    fuzz::write(folder / "config.json", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] { expected_tensors(read_model_config(folder.folder())); });
    return 0;
}
