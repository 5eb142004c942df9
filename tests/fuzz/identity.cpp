// The identity.ini of a run folder that a new command opens.
#include "fuzz.h"
#include "random_run.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    fuzz::write(folder / "identity.ini", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] { Store(folder.folder()).open("", some_identity()); });
    return 0;
}
