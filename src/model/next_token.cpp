#include "moesweep/model/next_token.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "moesweep/model/row_arithmetic.h"

namespace moesweep {

NextTokens next_tokens(const Weights& weights, const at::Tensor& hidden) {
    constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
    const ModelConfig& config = weights.config();
    const std::int64_t N = hidden.size(0);
    const at::Tensor normed = rms_norm(hidden, weights.final_norm(), config.rms_norm_eps, weights.precision());
    at::Tensor best = at::full({N}, minus_infinity, hidden.options()), second = best.clone();
    at::Tensor ids = at::zeros({N}, hidden.options().dtype(at::kLong));
    for (std::int64_t begin = 0; N > 0 && begin < config.vocab_size; begin += vocabulary_block) {
        std::vector<std::int32_t> block(
            static_cast<std::size_t>(std::min(vocabulary_block, config.vocab_size - begin)));
        std::iota(block.begin(), block.end(), static_cast<std::int32_t>(begin));
        const at::Tensor logits = project(normed, weights.head(block), {}, weights.precision());
        const auto [most, place] = logits.max(-1);
        const at::Tensor next = logits.scatter(1, place.unsqueeze(1), minus_infinity).amax(-1);
        const at::Tensor better = most > best;  // NaN is never better
        second = at::maximum(at::where(better, best, most), at::where(better, at::maximum(next, second), second));
        ids = at::where(better, place + begin, ids);
        best = at::maximum(most, best);  // which keeps a NaN
    }
    if (!best.isfinite().all().item<bool>())
        fail(Exit::data, "{}: the model's logits are not finite",
             weights.checkpoint().files()[0].parent_path().string());
    const at::Tensor found = ids.cpu(), gaps = (best - second).to(at::kDouble).cpu();
    NextTokens tokens;
    for (std::int64_t row = 0; row < N; ++row) {
        tokens.ids.push_back(static_cast<std::int32_t>(found.const_data_ptr<std::int64_t>()[row]));
        tokens.gaps.push_back(gaps.const_data_ptr<double>()[row]);
    }
    return tokens;
}

}  // namespace moesweep
