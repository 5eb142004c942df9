#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "row_kernels.h"

namespace moesweep::kernels {
namespace {

float widened(Bf16 bits) {
    return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// The nearest bf16, the even one of two; x is finite.
Bf16 nearest(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return static_cast<Bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class T>
T round_if(T x, bool rounded) {
    return rounded ? T(widened(nearest(float(x)))) : x;
}

/// The scale of a norm over d numbers.
template <class T>
T norm_scale(const T* x, int d, double eps) {
    T squares = 0;
    for (int i = 0; i < d; ++i) squares += x[i] * x[i];
    return T(1) / std::sqrt(squares / T(d) + T(eps));
}

/// Terms lie `step` apart.
void split_to(float x, Bf16* terms, int count, std::int64_t step) {
    for (int t = 0; t < count; ++t, terms += step) {
        *terms = nearest(x);
        x -= widened(*terms);
    }
}

}  // namespace

bool can_group_products(int, int) {
    return true;
}

std::size_t grouped_product_workspace(int) {
    return 0;
}

void grouped_product(const GroupedProduct& p, void*, Stream) {
    for (int g = 0; g < p.groups; ++g)
        for (std::int64_t r = p.offsets[g]; r < p.offsets[g + 1]; ++r)
            for (int o = 0; o < p.out; ++o) {
                float sum = 0;
                for (std::int64_t i = 0; i < p.in; ++i)
                    sum += widened(p.x[r * p.in + i]) * widened(p.weights[g][std::int64_t{o} * p.in + i]);
                float& y = p.y[r * p.out + o];
                y = p.add ? y + sum : sum;
            }
}

template <class T>
void rms_norm(const T* x, const T* weight, T* out, std::int64_t rows, int d, double eps, bool rounded, Stream) {
    for (std::int64_t r = 0; r < rows; ++r, x += d, out += d) {
        const T scale = norm_scale(x, d, eps);
        for (int i = 0; i < d; ++i) out[i] = round_if(round_if(x[i] * scale, rounded) * weight[i], rounded);
    }
}

template <class T>
void norm_and_rotate(T* qkv, const Heads& heads, const Rotation<T>& rotation, bool rounded, Stream) {
    const int half = rotation.half;
    for (std::int64_t row = 0; row < heads.rows; ++row)
        for (int head = 0; head < heads.heads + heads.kv_heads; ++head) {
            T* const x = qkv + row * heads.width() + head * heads.d;
            const T* const weight = head < heads.heads ? rotation.q_norm : rotation.k_norm;
            if (weight) rms_norm(x, weight, x, 1, heads.d, rotation.eps, rounded, nullptr);
            const T* const c = rotation.cos + rotation.positions[row] * half;
            const T* const s = rotation.sin + rotation.positions[row] * half;
            for (int i = 0; i < half; ++i) {
                const T first = x[i], second = x[i + half];
                x[i] = round_if(round_if(first * c[i], rounded) - round_if(second * s[i], rounded), rounded);
                x[i + half] = round_if(round_if(second * c[i], rounded) + round_if(first * s[i], rounded), rounded);
            }
        }
}

template <class T>
void attend(const T* qkv, const Heads& heads, std::int64_t begin, const Contexts<T>& contexts, T* out, bool rounded,
            Stream) {
    const int d = heads.d, width = heads.width();
    std::vector<T> weights;
    for (std::int64_t row = begin; row < heads.rows; ++row)
        for (int head = 0; head < heads.heads; ++head, out += d) {
            const T* const q = qkv + row * width + head * d;
            const int kv_head = head / (heads.heads / heads.kv_heads), seen = contexts.count[row];
            const T* const own = qkv + row * width + (heads.heads + kv_head) * d;
            const auto key_of = [&](int key) {
                return key < seen ? contexts.kv + (contexts.first[row] + key) * contexts.width + kv_head * d : own;
            };
            const auto value_of = [&](int key) { return key_of(key) + heads.kv_heads * d; };
            weights.clear();
            for (int key = 0; key <= seen; ++key) {
                T score = 0;
                for (int i = 0; i < d; ++i) score += q[i] * key_of(key)[i];
                weights.push_back(round_if(round_if(score, rounded) / std::sqrt(T(d)), rounded));
            }
            const T highest = *std::ranges::max_element(weights);
            T sum = 0;
            for (T& weight : weights) sum += weight = std::exp(weight - highest);
            std::fill_n(out, d, T(0));
            for (int key = 0; key <= seen; ++key) {
                const T weight = round_if(weights[static_cast<std::size_t>(key)] / sum, rounded);
                for (int i = 0; i < d; ++i) out[i] += weight * value_of(key)[i];
            }
            for (int i = 0; i < d; ++i) out[i] = round_if(out[i], rounded);
        }
}

void split(const float* x, const std::int64_t* source, Bf16* terms, int count, std::int64_t rows, int d, Stream) {
    for (std::int64_t r = 0; r < rows; ++r)
        for (int i = 0; i < d; ++i) split_to(x[(source ? source[r] : r) * d + i], terms + r * d + i, count, rows * d);
}

void swiglu(const float* gate_up, Bf16* terms, int count, std::int64_t rows, int f, bool rounded, Stream) {
    for (std::int64_t r = 0; r < rows; ++r, gate_up += 2 * f)
        for (int i = 0; i < f; ++i) {
            const float gate = round_if(gate_up[i], rounded), up = round_if(gate_up[f + i], rounded);
            split_to(round_if(gate / (1 + std::exp(-gate)), rounded) * up, terms + r * f + i, count, rows * f);
        }
}

void weigh(const float* y, const std::int64_t* slots, const float* weights, float* out, std::int64_t rows, int d,
           bool rounded, Stream) {
    for (std::int64_t r = 0; r < rows; ++r, y += d)
        for (int i = 0; i < d; ++i)
            out[slots[r] * d + i] = round_if(round_if(y[i], rounded) * weights[slots[r]], rounded);
}

template <class T>
void sum_slots(const T* x, T* out, std::int64_t rows, int k, int d, bool rounded, Stream) {
    for (std::int64_t r = 0; r < rows; ++r, x += std::int64_t{k} * d, out += d)
        for (int i = 0; i < d; ++i) {
            out[i] = x[i];
            for (int slot = 1; slot < k; ++slot) out[i] = round_if(out[i] + x[std::int64_t{slot} * d + i], rounded);
        }
}

template <class A, class B>
void dot_rows(const A* a, const B* b, const std::int64_t* which, double* out, std::int64_t rows, int d, Stream) {
    for (std::int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int i = 0; i < d; ++i) sum += double(a[r * d + i]) * double(b[(which ? which[r] : r) * d + i]);
        out[r] = sum;
    }
}

#include "row_kernels_instances.inc"

}  // namespace moesweep::kernels
