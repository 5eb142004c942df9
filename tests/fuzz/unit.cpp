// A unit file, changed by a script of edits and sealed again.
#include "hdf5_edit.h"
#include "run_folder.h"

using namespace moesweep;

namespace {

struct SoundRun : fuzz::RunFolder {
    std::string file;
    SoundRun() {
        write_sound_unit();
        file = read_file(store().unit_path(0));
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const SoundRun folder;
    const std::filesystem::path path = folder.store().unit_path(0);
    fuzz::write(path, folder.file);
    fuzz::edit_file(path, {data, size});
    fuzz::write_sealed(path, read_file(path));
    fuzz::expect_value_or_error([&] { folder.store().read_unit<UnitTables>(0); });
    fuzz::expect_all_closed();
    return 0;
}
