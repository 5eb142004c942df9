#include "grouped_product.h"

#include <cuda_runtime_api.h>

#include <cutlass/cutlass.h>
#include <cutlass/gemm/device/gemm_universal_adapter.h>
#include <cute/tensor.hpp>
#include <cutlass/epilogue/collective/collective_builder.hpp>
#include <cutlass/gemm/collective/collective_builder.hpp>
#include <cutlass/gemm/group_array_problem_shape.hpp>
#include <cutlass/gemm/kernel/gemm_universal.hpp>
#include <stdexcept>
#include <string>

namespace moesweep::kernels {
namespace {

using cute::_1;
using cute::_128;
using cute::_2;
using cute::_256;
using cute::_64;

using Element = cutlass::bfloat16_t;
using Shape = cutlass::gemm::GroupProblemShape<cute::Shape<int, int, int>>;  // rows, out, in of each group
using Tile = cute::Shape<_128, _256, _64>;
using Cluster = cute::Shape<_1, _2, _1>;                 // two tiles of one group's rows share what they load of them
constexpr int element_alignment = 8, sum_alignment = 4;  // elements in 16 bytes, which TMA asks for

using Epilogue = cutlass::epilogue::collective::CollectiveBuilder<
    cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, Tile, Cluster, cutlass::epilogue::collective::EpilogueTileAuto,
    float, float, float, cutlass::layout::RowMajor*, sum_alignment, float, cutlass::layout::RowMajor*, sum_alignment,
    cutlass::epilogue::PtrArrayTmaWarpSpecializedCooperative,
    cutlass::epilogue::fusion::LinearCombination<float, float>>::CollectiveOp;

using Mainloop = cutlass::gemm::collective::CollectiveBuilder<
    cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, Element, cutlass::layout::RowMajor*, element_alignment,
    Element, cutlass::layout::ColumnMajor*, element_alignment, float, Tile, Cluster,
    cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(sizeof(typename Epilogue::SharedStorage))>,
    cutlass::gemm::KernelPtrArrayTmaWarpSpecializedCooperative>::CollectiveOp;

using Kernel = cutlass::gemm::kernel::GemmUniversal<Shape, Mainloop, Epilogue>;
using Gemm = cutlass::gemm::device::GemmUniversalAdapter<Kernel>;
using StrideX = typename Kernel::InternalStrideA;
using StrideW = typename Kernel::InternalStrideB;
using StrideY = typename Kernel::InternalStrideD;

/// What CUTLASS reads of each group, in the workspace.
struct Groups {
    Shape::UnderlyingProblemShape* shapes;
    const Element** x;
    const Element** weights;
    float** y;
    StrideX* x_strides;
    StrideW* weight_strides;
    StrideY* y_strides;
};

/// Places in a workspace, one after the other.
class Layout {
  public:
    explicit Layout(void* begin) : at_(static_cast<std::byte*>(begin)) {}
    template <class T>
    T* take(int count) {
        T* const place = reinterpret_cast<T*>(at_);
        at_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
        return place;
    }
    std::byte* end() const { return at_; }

  private:
    std::byte* at_;
};

Groups lay_out(Layout& layout, int groups) {
    return {layout.take<Shape::UnderlyingProblemShape>(groups),
            layout.take<const Element*>(groups),
            layout.take<const Element*>(groups),
            layout.take<float*>(groups),
            layout.take<StrideX>(groups),
            layout.take<StrideW>(groups),
            layout.take<StrideY>(groups)};
}

__global__ void fill_groups(GroupedProduct p, Groups to) {
    const int g = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (g >= p.groups) return;
    const std::int64_t begin = p.offsets[g], rows = p.offsets[g + 1] - begin;
    to.shapes[g] = cute::make_shape(static_cast<int>(rows), p.out, p.in);
    to.x[g] = reinterpret_cast<const Element*>(p.x) + begin * p.in;
    to.weights[g] = reinterpret_cast<const Element*>(p.weights[g]);
    to.y[g] = p.y + begin * p.out;
    cute::get<0>(to.x_strides[g]) = p.in;
    cute::get<0>(to.weight_strides[g]) = p.in;
    cute::get<0>(to.y_strides[g]) = p.out;
}

void check(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return;
    throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(result));
}
void check(cutlass::Status status, const char* what) {
    if (status == cutlass::Status::kSuccess) return;
    throw std::runtime_error(std::string("CUTLASS: ") + what + ": " + cutlass::cutlassGetStatusString(status));
}

struct Device {
    int index = 0, processors = 0, major = 0;
};
Device current_device() {
    Device device;
    check(cudaGetDevice(&device.index), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&device.processors, cudaDevAttrMultiProcessorCount, device.index),
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&device.major, cudaDevAttrComputeCapabilityMajor, device.index),
          "cudaDeviceGetAttribute");
    return device;
}

typename Gemm::Arguments arguments_of(const GroupedProduct& p, const Groups& groups, const Device& device) {
    cutlass::KernelHardwareInfo hardware;
    hardware.device_id = device.index;
    hardware.sm_count = device.processors;
    typename Gemm::Arguments arguments{
        cutlass::gemm::GemmUniversalMode::kGrouped,
        {p.groups, groups.shapes, nullptr},
        {groups.x, groups.x_strides, groups.weights, groups.weight_strides},
        {{}, const_cast<const float**>(groups.y), groups.y_strides, groups.y, groups.y_strides},
        hardware};
    auto& scale = arguments.epilogue.thread;
    scale.alpha = 1;
    scale.beta = p.add ? 1 : 0;
    return arguments;
}

}  // namespace

bool can_group_products(int in, int out) {
    return current_device().major == 9 && in % element_alignment == 0 && out % sum_alignment == 0;
}

std::size_t grouped_product_workspace(int groups) {
    Layout layout(nullptr);
    lay_out(layout, groups);
    GroupedProduct sizes;
    sizes.groups = groups;
    const auto own = static_cast<std::size_t>(layout.end() - static_cast<std::byte*>(nullptr));
    return own + Gemm::get_workspace_size(arguments_of(sizes, {}, current_device()));
}

void grouped_product(const GroupedProduct& product, void* workspace, CUstream_st* stream) {
    Layout layout(workspace);
    const Groups groups = lay_out(layout, product.groups);
    fill_groups<<<(product.groups + 127) / 128, 128, 0, stream>>>(product, groups);
    check(cudaGetLastError(), "fill_groups");
    Gemm gemm;
    check(gemm.initialize(arguments_of(product, groups, current_device()), layout.end(), stream), "initialize");
    check(gemm.run(stream), "run");
}

}  // namespace moesweep::kernels
