#include "moesweep/model/decoder_layer.h"

#include <ATen/ATen.h>

#include "kernels/tensors.h"
#include "moesweep/model/row_arithmetic.h"

namespace moesweep {

at::Tensor DecoderLayer::norm(const at::Tensor& hidden, const at::Tensor& weight) const {
    return rms_norm(hidden, weight, config.rms_norm_eps, precision);
}

at::Tensor DecoderLayer::project_heads(const at::Tensor& hidden, const Rotary& rotary,
                                       const at::Tensor& positions) const {
    const std::int64_t H = config.heads.num_attention_heads, Hkv = config.heads.num_key_value_heads,
                       Dh = config.heads.head_dim;
    const at::Tensor heads = project(norm(hidden, weights.input_norm), weights.qkv, weights.qkv_bias, precision)
                                 .contiguous()
                                 .view({hidden.size(0), H + 2 * Hkv, Dh});
    if (!heads.is_cpu()) {
        kernels::norm_and_rotate(heads, kernels::heads_of(heads, H, Hkv), weights.q_norm, weights.k_norm,
                                 config.rms_norm_eps, rotary.cos, rotary.sin, positions, precision);
        return heads;
    }
    const auto norm_and_rotate = [&](const at::Tensor& x, const at::Tensor& weight) {
        x.copy_(rotary.rotate(weight.defined() ? norm(x, weight) : x, positions));
    };
    norm_and_rotate(heads.narrow(1, 0, H), weights.q_norm);
    norm_and_rotate(heads.narrow(1, H, Hkv), weights.k_norm);
    return heads;
}

at::Tensor DecoderLayer::add_attention(const at::Tensor& hidden, const at::Tensor& mixed) const {
    return add(hidden, project(mixed, weights.output, weights.output_bias, precision));
}

at::Tensor DecoderLayer::add_dense(const at::Tensor& hidden) const {
    return add(hidden, feed_forward(*weights.dense, norm(hidden, weights.post_attention_norm), precision));
}

MoeInput DecoderLayer::enter_moe(const at::Tensor& hidden, const Deactivated& deactivated) const {
    const at::Tensor x = norm(hidden, weights.post_attention_norm);
    return {x, route(*weights.moe, config.router, x, deactivated)};
}

at::Tensor DecoderLayer::add(const at::Tensor& hidden, const at::Tensor& output) const {
    return rounded(hidden + output, precision);
}

}  // namespace moesweep
