#include "row_kernels.h"

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace moesweep::kernels {
namespace {

constexpr int warp = 32, most_warps = 8;
constexpr int most_head_size = 256;

void check_launch(const char* kernel) {
    const cudaError_t result = cudaGetLastError();
    if (result == cudaSuccess) return;
    throw std::runtime_error(std::string("CUDA: ") + kernel + ": " + cudaGetErrorString(result));
}

unsigned blocks(std::int64_t items, std::int64_t each) {
    return static_cast<unsigned>((items + each - 1) / each);
}

template <class T>
__device__ T round_if(T x, bool rounded) {
    return rounded ? T(__bfloat162float(__float2bfloat16_rn(float(x)))) : x;
}

/// The sum over a warp, in all of its lanes.
template <class T>
__device__ T warp_sum(T x) {
    for (int other = warp / 2; other > 0; other /= 2) x += __shfl_xor_sync(0xffffffff, x, other);
    return x;
}
template <class T>
__device__ T warp_max(T x) {
    for (int other = warp / 2; other > 0; other /= 2) {
        const T y = __shfl_xor_sync(0xffffffff, x, other);
        x = x > y ? x : y;
    }
    return x;
}

/// The sum over a block, in all of its threads: warps first, then their sums in order.
template <class T>
__device__ T block_sum(T x) {
    __shared__ T sums[most_warps];
    x = warp_sum(x);
    if (threadIdx.x % warp == 0) sums[threadIdx.x / warp] = x;
    __syncthreads();
    T all = 0;
    for (int w = 0; w < int(blockDim.x) / warp; ++w) all += sums[w];
    return all;
}

template <class T>
__device__ T reciprocal_root(T x) {
    return T(1) / sqrt(x);
}

template <class T>
__global__ void rms_norm_kernel(const T* x, const T* weight, T* out, int d, T eps, bool rounded) {
    x += std::int64_t(blockIdx.x) * d;
    out += std::int64_t(blockIdx.x) * d;
    T squares = 0;
    for (int i = threadIdx.x; i < d; i += blockDim.x) squares += x[i] * x[i];
    const T scale = reciprocal_root(block_sum(squares) / T(d) + eps);
    for (int i = threadIdx.x; i < d; i += blockDim.x)
        out[i] = round_if(round_if(x[i] * scale, rounded) * weight[i], rounded);
}

/// A warp for every head of queries and keys.
template <class T>
__global__ void norm_and_rotate_kernel(T* qkv, Heads heads, Rotation<T> rotation, bool rounded) {
    const int placed = heads.heads + heads.kv_heads, lane = threadIdx.x % warp;
    const std::int64_t index = (std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / warp, row = index / placed;
    if (row >= heads.rows) return;
    const int head = int(index % placed);
    T* const x = qkv + row * heads.width() + head * heads.d;
    const T* const weight = head < heads.heads ? rotation.q_norm : rotation.k_norm;

    T scale = 1;
    if (weight) {
        T squares = 0;
        for (int i = lane; i < heads.d; i += warp) squares += x[i] * x[i];
        scale = reciprocal_root(warp_sum(squares) / T(heads.d) + T(rotation.eps));
    }
    const auto normed = [&](int i) {
        return weight ? round_if(round_if(x[i] * scale, rounded) * weight[i], rounded) : x[i];
    };
    const std::int64_t angles = rotation.positions[row] * rotation.half;
    for (int i = lane; i < rotation.half; i += warp) {
        const T c = rotation.cos[angles + i], s = rotation.sin[angles + i];
        const T first = normed(i), second = normed(i + rotation.half);
        x[i] = round_if(round_if(first * c, rounded) - round_if(second * s, rounded), rounded);
        x[i + rotation.half] = round_if(round_if(second * c, rounded) + round_if(first * s, rounded), rounded);
    }
    for (int i = 2 * rotation.half + lane; i < heads.d; i += warp) x[i] = normed(i);
}

/// A warp for every head of every row; scores [warps, most + 1] in shared memory.
template <class T, int per_lane>
__global__ void attend_kernel(const T* qkv, Heads heads, std::int64_t begin, Contexts<T> contexts, T* out,
                              bool rounded) {
    extern __shared__ __align__(16) unsigned char shared[];
    const int lane = threadIdx.x % warp, own_warp = threadIdx.x / warp, d = heads.d, width = heads.width();
    T* const scores = reinterpret_cast<T*>(shared) + own_warp * (contexts.most + 1);
    const std::int64_t index = std::int64_t(blockIdx.x) * (blockDim.x / warp) + own_warp,
                       row = begin + index / heads.heads;
    if (row >= heads.rows) return;
    const int head = int(index % heads.heads), kv_head = head / (heads.heads / heads.kv_heads),
              seen = contexts.count[row];
    const T* const own = qkv + row * width + (heads.heads + kv_head) * d;
    const T* const context = contexts.kv + contexts.first[row] * contexts.width + kv_head * d;
    const auto key_of = [&](int key) { return key < seen ? context + key * contexts.width : own; };

    T q[per_lane];
    for (int i = 0; i < per_lane; ++i)
        q[i] = lane + i * warp < d ? qkv[row * width + head * d + lane + i * warp] : T(0);
    const T root = sqrt(T(d));
    T highest = -INFINITY;
    for (int key = 0; key <= seen; ++key) {
        const T* const k = key_of(key);
        T score = 0;
        for (int i = 0; i < per_lane; ++i)
            if (lane + i * warp < d) score += q[i] * k[lane + i * warp];
        score = round_if(round_if(warp_sum(score), rounded) / root, rounded);
        highest = score > highest ? score : highest;
        if (lane == 0) scores[key] = score;
    }
    __syncwarp();
    T sum = 0;
    for (int key = lane; key <= seen; key += warp) sum += scores[key] = exp(scores[key] - highest);
    sum = warp_sum(sum);
    __syncwarp();

    T mixed[per_lane] = {};
    for (int key = 0; key <= seen; ++key) {
        const T weight = round_if(scores[key] / sum, rounded);
        const T* const v = key_of(key) + heads.kv_heads * d;
        for (int i = 0; i < per_lane; ++i)
            if (lane + i * warp < d) mixed[i] += weight * v[lane + i * warp];
    }
    for (int i = 0; i < per_lane; ++i)
        if (lane + i * warp < d) out[index * d + lane + i * warp] = round_if(mixed[i], rounded);
}

__device__ Bf16 bits(__nv_bfloat16 x) {
    return __bfloat16_as_ushort(x);
}

/// Terms lie `step` apart.
__device__ void split_to(float x, Bf16* terms, int count, std::int64_t step) {
    for (int t = 0; t < count; ++t, terms += step) {
        const __nv_bfloat16 nearest = __float2bfloat16_rn(x);
        *terms = bits(nearest);
        x -= __bfloat162float(nearest);
    }
}

__global__ void split_kernel(const float* x, const std::int64_t* source, Bf16* terms, int count, int d) {
    const std::int64_t to = std::int64_t(blockIdx.x) * d, step = std::int64_t(gridDim.x) * d;
    const std::int64_t from = (source ? source[blockIdx.x] : std::int64_t(blockIdx.x)) * d;
    for (int i = threadIdx.x; i < d; i += blockDim.x) split_to(x[from + i], terms + to + i, count, step);
}

__global__ void swiglu_kernel(const float* gate_up, Bf16* terms, int count, int f, bool rounded) {
    const float* const gate = gate_up + std::int64_t(blockIdx.x) * 2 * f;
    const std::int64_t to = std::int64_t(blockIdx.x) * f, step = std::int64_t(gridDim.x) * f;
    for (int i = threadIdx.x; i < f; i += blockDim.x) {
        const float g = round_if(gate[i], rounded), up = round_if(gate[f + i], rounded);
        split_to(round_if(g / (1 + expf(-g)), rounded) * up, terms + to + i, count, step);
    }
}

__global__ void weigh_kernel(const float* y, const std::int64_t* slots, const float* weights, float* out, int d,
                             bool rounded) {
    const std::int64_t from = std::int64_t(blockIdx.x) * d, slot = slots[blockIdx.x];
    const float weight = weights[slot];
    for (int i = threadIdx.x; i < d; i += blockDim.x)
        out[slot * d + i] = round_if(round_if(y[from + i], rounded) * weight, rounded);
}

template <class T>
__global__ void sum_slots_kernel(const T* x, T* out, int k, int d, bool rounded) {
    x += std::int64_t(blockIdx.x) * k * d;
    for (int i = threadIdx.x; i < d; i += blockDim.x) {
        T sum = x[i];
        for (int slot = 1; slot < k; ++slot) sum = round_if(sum + x[std::int64_t(slot) * d + i], rounded);
        out[std::int64_t(blockIdx.x) * d + i] = sum;
    }
}

template <class A, class B>
__global__ void dot_rows_kernel(const A* a, const B* b, const std::int64_t* which, double* out, int d) {
    const std::int64_t row = blockIdx.x, other = which ? which[row] : row;
    double sum = 0;
    for (int i = threadIdx.x; i < d; i += blockDim.x) sum += double(a[row * d + i]) * double(b[other * d + i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[row] = sum;
}

constexpr int threads_of_row = warp * most_warps;

/// Warps to a block whose scores fit into the memory that every block has; one warp may ask for more.
template <class T, int per_lane>
void launch_attend(const T* qkv, const Heads& heads, std::int64_t begin, const Contexts<T>& contexts, T* out,
                   bool rounded, Stream stream) {
    constexpr std::int64_t usual = 48 << 10;
    const std::int64_t bytes = (contexts.most + 1) * std::int64_t(sizeof(T)),
                       warps = std::clamp<std::int64_t>(usual / bytes, 1, 4);
    const auto kernel = attend_kernel<T, per_lane>;
    if (bytes > usual) cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    const std::int64_t items = (heads.rows - begin) * heads.heads;
    kernel<<<blocks(items, warps), unsigned(warps * warp), std::size_t(warps * bytes), stream>>>(
        qkv, heads, begin, contexts, out, rounded);
}

}  // namespace

template <class T>
void rms_norm(const T* x, const T* weight, T* out, std::int64_t rows, int d, double eps, bool rounded, Stream stream) {
    if (rows == 0) return;
    rms_norm_kernel<T><<<unsigned(rows), threads_of_row, 0, stream>>>(x, weight, out, d, T(eps), rounded);
    check_launch("rms_norm");
}

template <class T>
void norm_and_rotate(T* qkv, const Heads& heads, const Rotation<T>& rotation, bool rounded, Stream stream) {
    if (heads.rows == 0) return;
    const unsigned grid = blocks(heads.rows * (heads.heads + heads.kv_heads), most_warps);
    norm_and_rotate_kernel<T><<<grid, threads_of_row, 0, stream>>>(qkv, heads, rotation, rounded);
    check_launch("norm_and_rotate");
}

template <class T>
void attend(const T* qkv, const Heads& heads, std::int64_t begin, const Contexts<T>& contexts, T* out, bool rounded,
            Stream stream) {
    if (heads.rows == begin) return;
    const auto launch = heads.d <= warp       ? launch_attend<T, 1>
                        : heads.d <= 2 * warp ? launch_attend<T, 2>
                        : heads.d <= 4 * warp ? launch_attend<T, 4>
                                              : launch_attend<T, most_head_size / warp>;
    if (heads.d > most_head_size)
        throw std::runtime_error("attention: heads of " + std::to_string(heads.d) + " numbers, at most 256 on a GPU");
    launch(qkv, heads, begin, contexts, out, rounded, stream);
    check_launch("attend");
}

void split(const float* x, const std::int64_t* source, Bf16* terms, int count, std::int64_t rows, int d,
           Stream stream) {
    if (rows == 0) return;
    split_kernel<<<unsigned(rows), threads_of_row, 0, stream>>>(x, source, terms, count, d);
    check_launch("split");
}

void swiglu(const float* gate_up, Bf16* terms, int count, std::int64_t rows, int f, bool rounded, Stream stream) {
    if (rows == 0) return;
    swiglu_kernel<<<unsigned(rows), threads_of_row, 0, stream>>>(gate_up, terms, count, f, rounded);
    check_launch("swiglu");
}

void weigh(const float* y, const std::int64_t* slots, const float* weights, float* out, std::int64_t rows, int d,
           bool rounded, Stream stream) {
    if (rows == 0) return;
    weigh_kernel<<<unsigned(rows), threads_of_row, 0, stream>>>(y, slots, weights, out, d, rounded);
    check_launch("weigh");
}

template <class T>
void sum_slots(const T* x, T* out, std::int64_t rows, int k, int d, bool rounded, Stream stream) {
    if (rows == 0) return;
    sum_slots_kernel<T><<<unsigned(rows), threads_of_row, 0, stream>>>(x, out, k, d, rounded);
    check_launch("sum_slots");
}

template <class A, class B>
void dot_rows(const A* a, const B* b, const std::int64_t* which, double* out, std::int64_t rows, int d, Stream stream) {
    if (rows == 0) return;
    dot_rows_kernel<A, B><<<unsigned(rows), threads_of_row, 0, stream>>>(a, b, which, out, d);
    check_launch("dot_rows");
}

#include "row_kernels_instances.inc"

}  // namespace moesweep::kernels
