#include "moesweep/model/device_errors.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// cuBLAS takes its workspace from the driver, and says so in words of its own where there is none left.
bool is_out_of_memory(std::string_view what) {
    constexpr std::array signs = {"out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED"};
    return std::ranges::any_of(signs, [&](const char* sign) { return what.find(sign) != std::string_view::npos; });
}

[[noreturn]] void fail_for_memory(c10::Device device) {
    fail(Exit::io, "{}: out of memory: other programs may use it too, else set a smaller run.memory", device.str());
}

}  // namespace

void on_device(c10::Device device, const std::function<void()>& step) {
    try {
        step();
    } catch (const c10::OutOfMemoryError&) {
        fail_for_memory(device);
    } catch (const c10::Error& error) {
        const std::string what = error.what_without_backtrace();
        if (is_out_of_memory(what)) fail_for_memory(device);
        if (dynamic_cast<const c10::AcceleratorError*>(&error) == nullptr) throw;
        fail(Exit::io, "{}: {}", device.str(), what.substr(0, what.find('\n')));
    }
}

}  // namespace moesweep
