#include "stand_in_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/TensorFactories.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

namespace moesweep {
namespace {

constexpr auto type = c10::DeviceType::PrivateUse1;
constexpr c10::StreamId computing = 0;  // its work is done at once

std::atomic<long> operations = 0;
thread_local c10::StreamId current = computing;

/// The other streams' work. Never destroyed: tensors may outlive it.
struct Streams {
    std::mutex mutex;
    c10::StreamId count = 1;
    struct Stream {
        std::deque<std::function<void()>> waiting;
        long put = 0, done = 0;
    };
    std::map<c10::StreamId, Stream> all;

    void put(c10::StreamId id, std::function<void()> work) {
        const std::lock_guard lock(mutex);
        all[id].waiting.push_back(std::move(work));
        ++all[id].put;
    }
    /// Does the stream's work before its n-th piece.
    void bring_to(c10::StreamId id, long n) {
        const std::lock_guard lock(mutex);
        for (Stream& stream = all[id]; stream.done < n; ++stream.done) {
            stream.waiting.front()();
            stream.waiting.pop_front();
        }
    }
};
Streams& streams() {
    static auto* const all = new Streams;
    return *all;
}

struct Event {
    c10::StreamId stream;
    long put;
};

class Guard final : public c10::impl::DeviceGuardImplInterface {
  public:
    c10::DeviceType type() const override { return moesweep::type; }
    c10::Device exchangeDevice(c10::Device) const override { return stand_in_device; }
    c10::Device getDevice() const override { return stand_in_device; }
    void setDevice(c10::Device) const override {}
    void uncheckedSetDevice(c10::Device) const noexcept override {}
    c10::DeviceIndex deviceCount() const noexcept override { return 1; }
    c10::Stream getStream(c10::Device device) const override {
        return c10::Stream(c10::Stream::UNSAFE, device, current);
    }
    c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
        const std::lock_guard lock(streams().mutex);
        return c10::Stream(c10::Stream::UNSAFE, device, streams().count++);
    }
    void* getStreamNativeHandle(const c10::Stream) const override { return nullptr; }
    c10::Stream exchangeStream(c10::Stream stream) const override {
        const c10::Stream before = getStream(stream.device());
        current = stream.id();
        return before;
    }
    void record(void** event, const c10::Stream& stream, const c10::DeviceIndex, const c10::EventFlag) const override {
        if (!*event) *event = new Event;
        const std::lock_guard lock(streams().mutex);
        *static_cast<Event*>(*event) = {stream.id(), streams().all[stream.id()].put};
    }
    void block(void* event, const c10::Stream& stream) const override {
        if (event && stream.id() == computing) synchronizeEvent(event);
    }
    void synchronizeEvent(void* event) const override {
        const auto& [stream, put] = *static_cast<Event*>(event);
        streams().bring_to(stream, put);
    }
    void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
        delete static_cast<Event*>(event);
    }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Memory final : c10::Allocator {
    c10::DataPtr allocate(std::size_t bytes) override {
        void* data = std::malloc(std::max<std::size_t>(bytes, 1));
        return {data, data, &std::free, stand_in_device};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
} memory;

at::Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
    return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                     c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
    return at::detail::empty_strided_generic(size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                             c10::dtype_or_default(dtype));
}

/// The same memory as a CPU tensor.
at::Tensor on_cpu(const at::Tensor& x) {
    return x.is_cpu() ? x : at::from_blob(x.data_ptr(), x.sizes(), x.strides(), at::TensorOptions(x.scalar_type()));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
    if (current == computing)
        on_cpu(to).copy_(on_cpu(from));
    else
        streams().put(current, [from, to] { on_cpu(to).copy_(on_cpu(from)); });
    return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
    TORCH_CHECK(from.sizes() == to.sizes(), "the stand-in does not resize");
    return copy_from(from, to, false);
}

at::Tensor as_strided(const at::Tensor& self, c10::IntArrayRef size, c10::IntArrayRef stride,
                      std::optional<std::int64_t> offset) {
    return at::native::as_strided_tensorimpl(self, size, stride, offset);
}

at::Tensor reshape_alias(const at::Tensor& self, c10::IntArrayRef size, c10::IntArrayRef stride) {
    return at::native::as_strided_tensorimpl(self, size, stride, std::nullopt);
}

at::Tensor view(const at::Tensor& self, c10::IntArrayRef size) {
    return at::native::view(self, size);
}

void expect_here(const c10::OperatorHandle& op, const at::Tensor& x) {
    if (x.defined() && x.dim() > 0 && x.device() != stand_in_device)
        TORCH_CHECK(false, op.operator_name(), ": a tensor on ", x.device(), " among those of the device");
}

/// All other operations fall back to the CPU.
void by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    ++operations;
    const auto inputs = op.schema().arguments().size();
    for (auto value = stack->end() - static_cast<std::ptrdiff_t>(inputs); value != stack->end(); ++value) {
        if (value->isTensor()) expect_here(op, value->toTensor());
        if (value->isTensorList())
            for (const at::Tensor& x : value->toTensorVector()) expect_here(op, x);
    }
    at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
    library.fallback(torch::CppFunction::makeFromBoxedFunction<&by_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
    library.impl("empty.memory_format", empty);
    library.impl("empty_strided", empty_strided);
    library.impl("_copy_from", copy_from);
    library.impl("_copy_from_and_resize", copy_from_and_resize);
    library.impl("as_strided", as_strided);
    library.impl("_reshape_alias", reshape_alias);
    library.impl("view", view);
}

}  // namespace

long operations_on_the_stand_in() {
    return operations;
}

}  // namespace moesweep
