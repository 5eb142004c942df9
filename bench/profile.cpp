#include "profile.h"

#include <cuda_runtime_api.h>
#include <cupti.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

struct Line {
    std::string name;
    double seconds = 0;
    long calls = 0;
};
std::map<std::string, Line>& lines_by_name() {
    static std::map<std::string, Line> lines;
    return lines;
}

void check(CUptiResult result, const char* call) {
    if (result == CUPTI_SUCCESS) return;
    const char* why = "";
    cuptiGetResultString(result, &why);
    fail(Exit::internal, "CUPTI: {}: {}", call, why);
}

void note(const std::string& name, std::uint64_t begin, std::uint64_t end) {
    Line& line = lines_by_name()[name];
    line.name = name;
    line.seconds += double(end - begin) * 1e-9;
    ++line.calls;
}

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* most_records) {
    *size = std::size_t{8} << 20;
    *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(64, *size));
    *most_records = 0;
}

void CUPTIAPI take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
    CUpti_Activity* record = nullptr;
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
            const auto* kernel = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
            note(kernel->name, kernel->start, kernel->end);
        } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
            const auto* copy = reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
            note(fmt::format("copy of kind {}", int{copy->copyKind}), copy->start, copy->end);
        }
    }
    std::free(buffer);
}

}  // namespace

void print_profile(const std::function<void()>& action) {
    constexpr std::size_t most_lines = 24;
    check(cuptiActivityRegisterCallbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks");
    for (const auto kind : {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY})
        check(cuptiActivityEnable(kind), "cuptiActivityEnable");
    action();
    cudaDeviceSynchronize();
    check(cuptiActivityFlushAll(1), "cuptiActivityFlushAll");

    std::vector<Line> lines;
    double all = 0;
    long calls = 0;
    for (const auto& [name, line] : lines_by_name()) {
        lines.push_back(line);
        all += line.seconds;
        calls += line.calls;
    }
    std::ranges::sort(lines, std::greater(), &Line::seconds);
    fmt::print("profile: {:.3f} s on the GPU in {} kernels and copies\n", all, calls);
    for (std::size_t i = 0; i < std::min(lines.size(), most_lines); ++i)
        fmt::print("{:5.1f} %  {:8.1f} ms  {:7}x  {:.110}\n", 100 * lines[i].seconds / all, 1e3 * lines[i].seconds,
                   lines[i].calls, lines[i].name);
}

}  // namespace moesweep
