// cases.h5: the bytes as they are, then with checksums that fit, without which HDF5 refuses nearly every mutation unseen.
#include "run_folder.h"
#include "sealed.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::RunFolder folder;
    const Store store = folder.store();
    const std::string raw(fuzz::text_of({data, size}));
    for (const std::string& file : {raw, fuzz::sealed(raw)}) {
        fuzz::write(folder / "cases.h5", file);
        fuzz::expect_value_or_error([&] { store.read_scan(); });
        fuzz::expect_all_closed();
    }
    return 0;
}
