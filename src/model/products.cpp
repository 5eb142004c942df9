#include "products.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <optional>

#include "moesweep/base/signals.h"

namespace moesweep {
namespace {

/// ATen has no other call for oneDNN's fp32 product. Its arguments are boxed, since their C++ types differ between
/// versions.
const std::optional<c10::OperatorHandle>& onednn_operator() {
    static const std::optional<c10::OperatorHandle> found =
        at::hasMKLDNN() ? c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""}) : std::nullopt;
    return found;
}

at::Tensor multiplied_by_onednn(const at::Tensor& x, const at::Tensor& weight) {
    torch::jit::Stack stack;
    torch::jit::push(stack, x, weight, c10::IValue(), "none", c10::List<std::optional<at::Scalar>>(), c10::IValue());
    {
        // Its generated kernels may point the stack pointer into the heap (oneDNN's issue 4845, up to 3.11.1), where
        // the frame of any handler would be written over what is there.
        const SignalsBlocked here;
        onednn_operator()->callBoxed(stack);
    }
    return torch::jit::pop(stack).toTensor();
}

bool mkl_is_slow_here() {
#if defined(__x86_64__)
    return at::hasMKL() && __builtin_cpu_supports("avx512f") && !__builtin_cpu_is("intel");
#else
    return false;
#endif
}

bool is_for_onednn(const at::Tensor& x) {
    return product_library() == ProductLibrary::onednn && x.device().is_cpu() && x.scalar_type() == at::kFloat;
}

}  // namespace

std::vector<ProductLibrary> product_libraries() {
    if (onednn_operator()) return {ProductLibrary::blas, ProductLibrary::onednn};
    return {ProductLibrary::blas};
}

ProductLibrary& product_library() {
    static ProductLibrary library =
        onednn_operator() && mkl_is_slow_here() ? ProductLibrary::onednn : ProductLibrary::blas;
    return library;
}

void multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& product) {
    if (is_for_onednn(x)) {
        product.copy_(multiplied_by_onednn(x, weight));
    } else {
        at::Tensor out = product;
        at::mm_out(out, x, weight.t());
    }
}

}  // namespace moesweep
