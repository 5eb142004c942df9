#include "profile.h"

#include <ATen/DeviceAccelerator.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace moesweep {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

struct Line {
    std::string name;
    double seconds = 0;
    long calls = 0;
};

std::vector<Line> kernels_of(const std::function<void()>& action) {
    const std::set<ActivityType> activities = {ActivityType::CPU, ActivityType::CUDA};
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
    profiler::prepareProfiler(config, activities);
    profiler::enableProfiler(config, activities);
    action();
    if (at::accelerator::getAccelerator()) at::accelerator::synchronizeDevice(0);
    std::map<std::string, Line> by_name;
    for (const auto& event : profiler::disableProfiler()->events()) {
        if (event.deviceType() != c10::DeviceType::CUDA) continue;
        Line& line = by_name[event.name()];
        line.name = event.name();
        line.seconds += double(event.durationNs()) * 1e-9;
        ++line.calls;
    }
    std::vector<Line> lines;
    for (auto& [name, line] : by_name) lines.push_back(std::move(line));
    std::ranges::sort(lines, std::greater(), &Line::seconds);
    return lines;
}

}  // namespace

void print_profile(const std::function<void()>& action) {
    constexpr std::size_t most_lines = 24;
    const std::vector<Line> lines = kernels_of(action);
    double all = 0;
    long calls = 0;
    for (const Line& line : lines) all += line.seconds, calls += line.calls;
    fmt::print("profile: {:.3f} s on the GPU in {} kernels and copies\n", all, calls);
    for (std::size_t i = 0; i < std::min(lines.size(), most_lines); ++i)
        fmt::print("{:5.1f} %  {:8.1f} ms  {:7}x  {:.90}\n", 100 * lines[i].seconds / all, 1e3 * lines[i].seconds,
                   lines[i].calls, lines[i].name);
}

}  // namespace moesweep
