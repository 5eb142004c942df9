#include "tensors.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace moesweep::kernels {
namespace {

Stream stream_of(const at::Tensor& x) {
    const c10::impl::VirtualGuardImpl guard(x.device().type());
    return static_cast<Stream>(guard.getStream(x.device()).native_handle());
}

bool rounded(Precision precision) {
    return precision == Precision::parity;
}

int to_int(std::int64_t n) {
    return static_cast<int>(n);
}

/// The numbers of a contiguous tensor; null if it is undefined.
template <class T>
T* data(const at::Tensor& x) {
    TORCH_INTERNAL_ASSERT(!x.defined() || x.is_contiguous());
    return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}

/// Calls `use` with a number of the type of the activations.
template <class Use>
void by_type(const at::Tensor& x, Use use) {
    if (x.scalar_type() == at::kDouble)
        use(double{});
    else
        use(float{});
}

at::Tensor empty_terms(std::int64_t rows, std::int64_t width, const at::Tensor& like, Precision precision) {
    return at::empty({precision == Precision::split ? 3 : 1, rows, width}, like.options().dtype(at::kBFloat16));
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, Precision precision) {
    const at::Tensor in = x.contiguous(), out = at::empty_like(in);
    by_type(x, [&]<class T>(T) {
        rms_norm(data<const T>(in), data<const T>(weight), data<T>(out), x.numel() / x.size(-1), to_int(x.size(-1)),
                 eps, rounded(precision), stream_of(x));
    });
    return out;
}

Heads heads_of(const at::Tensor& qkv, std::int64_t heads, std::int64_t kv_heads) {
    return {qkv.size(0), to_int(heads), to_int(kv_heads), to_int(qkv.size(2))};
}

void norm_and_rotate(const at::Tensor& qkv, const Heads& heads, const at::Tensor& q_norm, const at::Tensor& k_norm,
                     double eps, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions,
                     Precision precision) {
    by_type(qkv, [&]<class T>(T) {
        const Rotation<T> rotation{data<const T>(q_norm),
                                   data<const T>(k_norm),
                                   data<const T>(cos),
                                   data<const T>(sin),
                                   data<const std::int64_t>(positions),
                                   to_int(cos.size(1)),
                                   eps};
        norm_and_rotate(data<T>(qkv), heads, rotation, rounded(precision), stream_of(qkv));
    });
}

at::Tensor attend(const at::Tensor& qkv, const Heads& heads, std::int64_t begin, const at::Tensor& kv,
                  const at::Tensor& first, const at::Tensor& count, std::int64_t most, Precision precision) {
    const at::Tensor out = at::empty({heads.rows - begin, std::int64_t{heads.heads} * heads.d}, qkv.options());
    by_type(qkv, [&]<class T>(T) {
        const Contexts<T> contexts{kv.const_data_ptr<T>(), kv.stride(0), data<const std::int32_t>(first),
                                   data<const std::int32_t>(count), most};
        attend(data<const T>(qkv), heads, begin, contexts, data<T>(out), rounded(precision), stream_of(qkv));
    });
    return out;
}

bool can_multiply(const at::Tensor& weight) {
    return !weight.is_cpu() && weight.scalar_type() == at::kBFloat16 &&
           can_group_products(to_int(weight.size(1)), to_int(weight.size(0)));
}

bool can_multiply(const Mlp& mlp) {
    return can_multiply(mlp.gate_up) && can_multiply(mlp.down);
}

at::Tensor split(const at::Tensor& x, const at::Tensor& source, Precision precision) {
    const at::Tensor in = x.contiguous();
    const std::int64_t rows = source.defined() ? source.size(0) : x.size(0);
    const at::Tensor terms = empty_terms(rows, x.size(1), x, precision);
    split(data<const float>(in), data<const std::int64_t>(source), data<Bf16>(terms), to_int(terms.size(0)), rows,
          to_int(x.size(1)), stream_of(x));
    return terms;
}

at::Tensor swiglu(const at::Tensor& gate_up, Precision precision) {
    const std::int64_t rows = gate_up.size(0), F = gate_up.size(1) / 2;
    const at::Tensor terms = empty_terms(rows, F, gate_up, precision);
    swiglu(data<const float>(gate_up), data<Bf16>(terms), to_int(terms.size(0)), rows, to_int(F), rounded(precision),
           stream_of(gate_up));
    return terms;
}

at::Tensor multiply(const at::Tensor& terms, const std::vector<at::Tensor>& weights, const at::Tensor& offsets) {
    const std::int64_t rows = terms.size(1), in = terms.size(2), out = weights[0].size(0);
    const at::Tensor y = at::empty({rows, out}, terms.options().dtype(at::kFloat));
    if (rows == 0) return y;
    std::vector<std::int64_t> places;
    for (const at::Tensor& weight : weights) places.push_back(reinterpret_cast<std::int64_t>(data<void>(weight)));
    const at::Tensor pointers = at::tensor(places, at::kLong).to(terms.device(), /*non_blocking=*/true);
    const int groups = to_int(static_cast<std::int64_t>(weights.size()));
    const at::Tensor workspace =
        at::empty({static_cast<std::int64_t>(grouped_product_workspace(groups))}, terms.options().dtype(at::kByte));
    for (std::int64_t t = 0; t < terms.size(0); ++t) {
        const GroupedProduct product{.x = data<const Bf16>(terms[t]),
                                     .weights = static_cast<const Bf16* const*>(pointers.data_ptr()),
                                     .offsets = data<const std::int32_t>(offsets),
                                     .y = data<float>(y),
                                     .groups = groups,
                                     .in = to_int(in),
                                     .out = to_int(out),
                                     .add = t > 0};
        grouped_product(product, workspace.data_ptr(), stream_of(y));
    }
    return y;
}

at::Tensor feed_forward(std::span<const Mlp> experts, const at::Tensor& terms, const at::Tensor& offsets,
                        Precision precision) {
    std::vector<at::Tensor> gate_up, down;
    for (const Mlp& expert : experts) {
        gate_up.push_back(expert.gate_up);
        down.push_back(expert.down);
    }
    return multiply(swiglu(multiply(terms, gate_up, offsets), precision), down, offsets);
}

at::Tensor one_group(std::int64_t rows, c10::Device device) {
    return at::tensor({0, to_int(rows)}, at::kInt).to(device, /*non_blocking=*/true);
}

at::Tensor weigh(const at::Tensor& y, const at::Tensor& slots, const at::Tensor& weights, Precision precision) {
    const at::Tensor out = at::empty_like(y);
    weigh(data<const float>(y), data<const std::int64_t>(slots), data<const float>(weights), data<float>(out),
          y.size(0), to_int(y.size(1)), rounded(precision), stream_of(y));
    return out;
}

at::Tensor sum_slots(const at::Tensor& x, Precision precision) {
    const at::Tensor in = x.contiguous(), out = at::empty({x.size(0), x.size(2)}, x.options());
    by_type(x, [&]<class T>(T) {
        sum_slots(data<const T>(in), data<T>(out), x.size(0), to_int(x.size(1)), to_int(x.size(2)), rounded(precision),
                  stream_of(x));
    });
    return out;
}

at::Tensor dot_rows(const at::Tensor& a, const at::Tensor& b, const at::Tensor& which) {
    const at::Tensor rows = a.contiguous(), others = b.contiguous();
    const at::Tensor out = at::empty({a.size(0)}, a.options().dtype(at::kDouble));
    by_type(a, [&]<class A>(A) {
        by_type(b, [&]<class B>(B) {
            if constexpr (sizeof(A) <= sizeof(B))
                dot_rows(data<const A>(rows), data<const B>(others), data<const std::int64_t>(which), data<double>(out),
                         a.size(0), to_int(a.size(1)), stream_of(a));
            else
                TORCH_INTERNAL_ASSERT(false);
        });
    });
    return out;
}

}  // namespace moesweep::kernels
