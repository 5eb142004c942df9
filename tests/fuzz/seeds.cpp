// Writes the seeds that are HDF5 files: fuzz_seeds tests/fuzz/corpus. Run it when the store's format changes.
#include "run_folder.h"

using namespace moesweep;

int main(int, char** argv) {
    const fuzz::RunFolder run;
    const std::filesystem::path corpus = argv[1];
    const auto keep = [&](const std::filesystem::path& file, const char* seed) {
        std::filesystem::copy_file(file, corpus / seed, std::filesystem::copy_options::overwrite_existing);
    };
    run.write_sound_unit();
    keep(run.store().unit_path(0), "unit_bytes/good-patches");
    run.write_sound_cases();
    keep(run.cases(), "cases_bytes/good-five");
}
