// A unit file, byte by byte: what a disk or a copy can do to it.
#include "hdf5_edit.h"
#include "run_folder.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::RunFolder folder;
    fuzz::write(folder.store().unit_path(0), fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([&] { folder.store().read_unit(0); });
    fuzz::expect_all_closed();
    return 0;
}
