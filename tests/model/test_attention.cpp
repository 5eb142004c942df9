// Rows attend to a run with the same bits wherever they lie and whatever lies beside them.
#include <ATen/ATen.h>

#include "catch_beside_torch.h"
#include "moesweep/model/attention.h"
#include "moesweep/model/weights.h"
#include "tiny_model.h"
#include "using_library.h"

using namespace moesweep;

TEST_CASE("a row's attention depends neither on its place nor on its company", "[attention]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    const std::int64_t per_kv = GENERATE(1, 2, 3, 4, 5, 7, 8, 12, 16);  // Mixtral's is 4, Qwen3's 8, GLM's 12
    const std::int64_t head_dim = GENERATE(8, 64, 128), length = GENERATE(0, 11, 40);
    INFO(per_kv << " heads of " << head_dim << " a key, " << length << " tokens before");
    const Using library(product_library());
    at::manual_seed(5);
    ModelConfig config = parse_model_config(tiny_config("mixtral"), "here");
    config.num_key_value_heads = 2;
    config.num_attention_heads = 2 * per_kv;
    config.head_dim = head_dim;

    constexpr std::int64_t rows = 70;  // more than a tile
    const auto options = at::TensorOptions(activation_dtype(precision));
    const at::Tensor q = at::randn({length + rows, 2 * per_kv, head_dim}, options),
                     k = at::randn({length + rows, 2, head_dim}, options), v = at::randn_like(k);
    const auto attend = [&](const at::Tensor& of_rows) {  // those rows alone, in that order
        Attention attention(config, {{0, length}}, precision);
        attention.add_rows(std::vector<std::int64_t>(static_cast<std::size_t>(of_rows.size(0))));
        const at::Tensor lines = at::cat({at::arange(length), of_rows + length});
        return attention(q.index_select(0, lines), k.index_select(0, lines), v.index_select(0, lines),
                         /*with_contexts=*/false);
    };
    const at::Tensor order = at::arange(rows), whole = attend(order);
    for (std::int64_t shift = 1; shift < rows; shift += 4)
        CHECK(at::equal(attend(order.roll(shift)).roll(-shift, 0), whole));
    for (const std::int64_t some : {1, 2, 15, 33, 50})
        CHECK(at::equal(attend(order.narrow(0, rows - some, some)), whole.narrow(0, rows - some, some)));
}
