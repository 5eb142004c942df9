// Runs a target on files, in builds without libFuzzer: replay FILE|FOLDER ... Names each before it runs it.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "fuzz.h"
#include "moesweep/base/files.h"

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(std::span<char*> arguments) {
    std::vector<fs::path> files;
    for (const fs::path argument : arguments) {
        if (!fs::is_directory(argument)) files.push_back(argument);
        if (fs::is_directory(argument))
            for (const auto& entry : fs::directory_iterator(argument)) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
}

long peak_megabytes() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

/// What is wrong with the last file's outcome; empty if nothing.
std::string complaint(const fs::path& file) {
    constexpr long most_megabytes = 2048;
    if (peak_megabytes() > most_megabytes) return fmt::format("took {} MB of memory", peak_megabytes());
    if (file.filename().string().starts_with("good-") && !moesweep::fuzz::accepted) return "was refused";
    return "";
}

}  // namespace

int main(int argc, char** argv) {
    const auto files = files_of({argv + 1, argv + argc});
    if (files.empty()) fmt::print(stderr, "nothing to replay\n");
    bool failed = files.empty();
    for (const fs::path& file : files) {
        fmt::print("{}\n", file.filename().string());
        std::fflush(stdout);  // a crash leaves the name as the last line
        const std::string bytes = moesweep::read_file(file);
        moesweep::fuzz::accepted = false;
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
        const std::string wrong = complaint(file);
        if (!wrong.empty()) fmt::print(stderr, "{}: {}\n", file.string(), wrong);
        failed |= !wrong.empty();
    }
    return failed;
}
