// A run folder with a fixed identity, whose unit 0 and cases.h5 are whatever is written there.
#pragma once
#include "fuzz.h"
#include "moesweep/store.h"

namespace moesweep::fuzz {

struct RunFolder : Scratch {
    RunFolder() {
        write(*this / "identity.ini", "fuzz = yes\n");
        std::filesystem::create_directory(*this / "units");
    }
    Store store() const { return Store(folder()); }
};

}  // namespace moesweep::fuzz
