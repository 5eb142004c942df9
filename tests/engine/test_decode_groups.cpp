// Decoding by experts that are divided over the ranks of mpirun gives the bits of decoding by one rank, whatever shares
// a step.
#include <algorithm>

#include "decode_fixture.h"
#include "mpi_world.h"

using namespace moesweep;

TEST_CASE("an answer's bits depend on no company", "[decode]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::parity);
    INFO(family);
    DecodeFixture f(tiny_config(family), precision);
    f.prompts[3].deactivated = {{1, 0}, {3, 2}};
    const std::vector<Answer> whole = f.run(f.all_at_once());

    LayerSource share(f.weights, expert_share(f.model.config.router.num_experts, world().rank(), world().size()),
                      /*streamed=*/true);
    const auto n = f.prompts.size(), rank = static_cast<std::size_t>(world().rank()),
               ranks = static_cast<std::size_t>(world().size());
    const std::size_t begin = n * rank / ranks, end = n * (rank + 1) / ranks;
    for (const std::int64_t cache_rows : {54, 90, 1000}) {  // room for the longest alone, for some, for all
        for (const std::int64_t step_rows : {1, 20, 1000}) {
            INFO(cache_rows << " rows of cache, " << step_rows << " rows a step");
            DecodePlan plan = f.all_at_once();
            plan.cache_rows = cache_rows;
            plan.step_rows = step_rows;
            const auto some = std::span(f.prompts).subspan(begin, end - begin);
            const auto answers = decode({f.weights, share, world()}, some, plan);
            REQUIRE(answers.has_value());
            REQUIRE(answers->size() == some.size());
            for (std::size_t i = 0; i < some.size(); ++i) CHECK(same_answer((*answers)[i], whole[begin + i]));
        }
    }
}

TEST_CASE("capturing changes no token, and a stop leaves nothing", "[decode]") {
    DecodeFixture f(tiny_config("qwen3_moe"), Precision::fp32);
    DecodePlan plan = f.all_at_once();
    const std::vector<Answer> captured = f.run(plan);
    plan.capture = false;
    const std::vector<Answer> plain = f.run(plan);
    for (std::size_t i = 0; i < plain.size(); ++i) {
        CHECK((plain[i].tokens == captured[i].tokens && plain[i].gaps == captured[i].gaps));
        CHECK(plain[i].of_prompt.sum.empty());
    }
    LayerSource share(f.weights, expert_share(f.model.config.router.num_experts, world().rank(), world().size()),
                      /*streamed=*/false);
    int asked = 0;
    plan.control.stop = [&] { return ++asked > 7 && world().rank() == world().size() - 1; };
    CHECK(!decode({f.weights, share, world()}, f.prompts, plan));
}
