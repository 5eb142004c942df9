// A run folder with a fixed identity, a unit 0 and a cases.h5, which a target replaces.
#pragma once
#include "fuzz.h"
#include "moesweep/base/files.h"
#include "moesweep/store/store.h"
#include "random_run.h"

namespace moesweep::fuzz {

/// Writes an image followed by the store's seal (sealed_file.h).
inline void write_sealed(const std::filesystem::path& path, std::string_view image) {
    write(path, fmt::format("{}\nsha256 {}\n", image, sha256(image)));
}

struct RunFolder : Scratch {
    RunFolder() {
        write(*this / "identity.ini", "fuzz = yes\n");
        std::filesystem::create_directory(*this / "units");
    }
    Store store() const { return Store(folder()); }
    std::filesystem::path cases() const { return *this / "cases.h5"; }

    void write_sound_unit() const { store().write_unit(0, tables_of_cases(0, 2, "patch", 2, 3)); }
    void write_sound_cases() const { write_scan(store(), {random_cases(5, 1), {{"family", "qwen3_moe"}}}); }
};

}  // namespace moesweep::fuzz
