// A unit file, byte by byte: first sealed, so that HDF5's own checksums must find the damage, then as it is.
#include "hdf5_edit.h"
#include "run_folder.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::RunFolder folder;
    const std::string_view bytes = fuzz::text_of({data, size});
    const std::filesystem::path path = folder.store().unit_path(0);
    fuzz::write_sealed(path, bytes);
    fuzz::expect_value_or_error([&] { folder.store().read_unit<UnitTables>(0); });
    fuzz::write(path, bytes);
    fuzz::expect_value_or_error([&] { folder.store().read_unit<UnitTables>(0); });
    fuzz::expect_all_closed();
    return 0;
}
