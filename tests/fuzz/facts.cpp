// The facts file.
#include "fuzz.h"
#include "moesweep/tracing/cases.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    fuzz::write(folder / "facts.json", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] { read_facts(folder / "facts.json"); });
    return 0;
}
