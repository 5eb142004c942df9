// Whole prompts through the decoder layers against a naive forward in double.
#include <ATen/ATen.h>

#include "catch_beside_torch.h"
#include "moesweep/model/full_forward.h"
#include "naive.h"
#include "support.h"
#include "tiny_model.h"

using namespace moesweep;

TEST_CASE("the last token's states and scores are the naive forward's, in any family and company", "[forward]") {
    const auto family = GENERATE(as<std::string>{}, "qwen3_moe", "mixtral", "glm4_moe");
    const Scratch scratch;
    const TinyModel model = write_tiny_model(scratch.folder(), tiny_config(family), 21);
    const Weights weights(scratch.folder(), model.config, Precision::fp64);
    LayerSource layers(weights, {0, model.config.router.num_experts}, /*streamed=*/true);
    const std::vector<std::vector<std::int32_t>> prompts = {{3, 1, 4, 1, 5, 9, 2, 6}, {60}, {8, 8, 0}};
    const at::Tensor states = full_forward(weights, layers, prompts), scores = logits(weights, states);
    REQUIRE(states.sizes().vec() == std::vector<std::int64_t>{12, model.config.hidden_size});
    REQUIRE(scores.sizes().vec() == std::vector<std::int64_t>{12, model.config.vocab_size});

    std::int64_t token = 0;
    for (const auto& prompt : prompts) {
        std::vector<naive::Vector> embeddings;
        for (const std::int32_t id : prompt) {  // each token is the last one of a prompt that ends there
            embeddings.push_back(naive::embedding(model, id));
            const naive::Forward forward = naive::forward(model, embeddings);
            for (const auto& [a, b] : {std::pair{0, 1}, {17, 60}}) {
                const double delta = scores[token][a].item<double>() - scores[token][b].item<double>();
                CHECK(std::abs(delta - naive::delta(model, forward, a, b)) <= 1e-10);
            }
            ++token;
        }
    }
    const at::Tensor alone = full_forward(weights, layers, std::span(prompts).first(1));
    CHECK(at::equal(alone, states.narrow(0, 0, 8)));
}
