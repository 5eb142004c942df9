// cases.h5, changed by a script of edits and sealed again.
#include "hdf5_edit.h"
#include "run_folder.h"

using namespace moesweep;

namespace {

struct SoundRun : fuzz::RunFolder {
    std::string file;
    SoundRun() {
        write_sound_cases();
        file = read_file(cases());
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const SoundRun folder;
    const std::filesystem::path path = folder.cases();
    fuzz::write(path, folder.file);
    fuzz::edit_file(path, {data, size});
    fuzz::write_sealed(path, read_file(path));
    fuzz::expect_value_or_error([&] { read_scan(folder.store(), some_config()); });
    fuzz::expect_all_closed();
    return 0;
}
