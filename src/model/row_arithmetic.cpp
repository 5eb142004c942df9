#include "moesweep/model/row_arithmetic.h"

#include <ATen/ATen.h>

#include "kernels/tensors.h"
#include "tiles.h"

namespace moesweep {
namespace {

/// feed_forward() of whole tiles of rows.
at::Tensor feed_forward_tiles(const Mlp& mlp, const at::Tensor& x, Precision precision) {
    const at::Tensor gate_up = rounded(multiply_tiles(x, mlp.gate_up, precision), precision);
    const std::int64_t F = mlp.down.size(1);
    at::Tensor gate = gate_up.narrow(1, 0, F).contiguous();
    gate = rounded(at::silu_(gate), precision).mul_(gate_up.narrow(1, F, F));
    return rounded(multiply_tiles(rounded(gate, precision), mlp.down, precision), precision);
}

}  // namespace

at::Tensor rounded(const at::Tensor& x, Precision precision) {
    return precision == Precision::parity ? x.to(at::kBFloat16).to(x.scalar_type()) : x;
}

at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Precision precision) {
    const at::Tensor out =
        kernels::can_multiply(weight)
            ? kernels::multiply(kernels::split(x, {}, precision), {weight}, kernels::one_group(x.size(0), x.device()))
            : multiply_tiles(pad_rows(x), weight, precision).narrow(0, 0, x.size(0));
    return rounded(bias.defined() ? out + bias : out, precision);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, Precision precision) {
    if (!x.is_cpu()) return kernels::rms_norm(x, weight, eps, precision);
    const at::Tensor scaled = x * at::rsqrt(at::pow(x, 2).mean(-1, /*keepdim=*/true) + eps);
    return rounded(rounded(scaled, precision) * weight, precision);
}

at::Tensor feed_forward(const Mlp& mlp, const at::Tensor& x, Precision precision) {
    if (kernels::can_multiply(mlp))
        return rounded(kernels::feed_forward({&mlp, 1}, kernels::split(x, {}, precision),
                                             kernels::one_group(x.size(0), x.device()), precision),
                       precision);
    return feed_forward_tiles(mlp, pad_rows(x), precision).narrow(0, 0, x.size(0));
}

at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which) {
    if (!a.is_cpu()) return kernels::dot_rows(a, b, which);
    return (a.to(at::kDouble) * b.index_select(0, which)).sum(-1);
}

at::Tensor row_norms(const at::Tensor& x) {
    if (x.is_cpu()) return at::linalg_vector_norm(x.to(at::kDouble), 2, at::IntArrayRef{-1});
    const at::Tensor rows = x.reshape({-1, x.size(-1)});
    return kernels::dot_rows(rows, rows, {}).sqrt().view(x.sizes().slice(0, static_cast<std::size_t>(x.dim() - 1)));
}

}  // namespace moesweep
