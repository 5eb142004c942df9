// Writes the seeds of the unit and cases targets: fuzz_seeds tests/fuzz/corpus. Run it when the store's format changes.
#include "random_run.h"
#include "run_folder.h"

using namespace moesweep;

int main(int, char** argv) {
    const fuzz::RunFolder run;
    const std::filesystem::path corpus = argv[1];
    const auto keep = [&](const std::filesystem::path& file, const char* seed) {
        std::filesystem::copy_file(file, corpus / seed, std::filesystem::copy_options::overwrite_existing);
    };
    for (const auto& [vectors, seed] : {std::pair{"", "unit/good-plain"}, {"patch", "unit/good-patches"}}) {
        run.store().write_unit(0, tables_of_cases(0, 1, vectors, 1, 1));
        keep(run.store().unit_path(0), seed);
    }
    run.store().write_scan({random_cases(3, 1), {{"family", "qwen3_moe"}}});
    keep(run / "cases.h5", "cases/good-three");
}
