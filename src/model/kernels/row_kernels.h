// What a device does with rows of numbers between the products with matrices. On CUDA (row_kernels.cu) kernels that
// pass over the rows once; without it (kernels_host.cpp) plain loops over host memory, the twin that tests compare
// with. In every one of them a row's bits do not depend on the rows beside it, nor on how many there are.
//
// Pointers are the device's. T is the activations' type, float or double. `rounded`: to bf16 wherever parity rounds.
#pragma once
#include <cstdint>

#include "grouped_product.h"

namespace moesweep::kernels {

using Stream = CUstream_st*;

/// out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight: [rows, d].
template <class T>
void rms_norm(const T* x, const T* weight, T* out, std::int64_t rows, int d, double eps, bool rounded, Stream stream);

/// The heads of a query, key and value projection, [rows, (heads + 2 kv_heads) d]: queries, keys, values.
struct Heads {
    std::int64_t rows;
    int heads, kv_heads, d;
    constexpr int width() const { return (heads + 2 * kv_heads) * d; }
};

/// Norms every head of the queries and keys (weights [d]; null: no norm) and rotates its first 2 `half` numbers by the
/// row's position, of which cos and sin [positions, half] tell. In place.
template <class T>
struct Rotation {
    const T *q_norm, *k_norm, *cos, *sin;
    const std::int64_t* positions;  ///< [rows]
    int half;
    double eps;
};
template <class T>
void norm_and_rotate(T* qkv, const Heads& heads, const Rotation<T>& rotation, bool rounded, Stream stream);

/// The keys and values that rows see beside their own: of a row of contexts, `kv_heads` keys and behind them as many
/// values lie at kv + width * row. Row r sees [first[r], first[r] + count[r]) of these. No count is above `most`.
template <class T>
struct Contexts {
    const T* kv;
    std::int64_t width;
    const std::int32_t *first, *count;
    std::int64_t most;
};
/// Attention of the rows [begin, heads.rows): out [rows - begin, heads d].
template <class T>
void attend(const T* qkv, const Heads& heads, std::int64_t begin, const Contexts<T>& contexts, T* out, bool rounded,
            Stream stream);

/// x[r] as a sum of bf16 numbers: the nearest, the nearest to what is left, and so on; three hold all of a float. r is
/// source[i], or i if null: terms [count, rows, d].
void split(const float* x, const std::int64_t* source, Bf16* terms, int count, std::int64_t rows, int d, Stream stream);

/// silu(gate) * up of gate_up [rows, 2 f] as such a sum: terms [count, rows, f].
void swiglu(const float* gate_up, Bf16* terms, int count, std::int64_t rows, int f, bool rounded, Stream stream);

/// out[slots[i]] = weights[slots[i]] * y[i]: [rows, d].
void weigh(const float* y, const std::int64_t* slots, const float* weights, float* out, std::int64_t rows, int d,
           bool rounded, Stream stream);

/// out[r] = x[r, 0] + x[r, 1] + ... + x[r, k - 1], in this order: x [rows, k, d].
template <class T>
void sum_slots(const T* x, T* out, std::int64_t rows, int k, int d, bool rounded, Stream stream);

/// out[r] = a[r] . b[which[r]], in double. which is r if null.
template <class A, class B>
void dot_rows(const A* a, const B* b, const std::int64_t* which, double* out, std::int64_t rows, int d, Stream stream);

}  // namespace moesweep::kernels
