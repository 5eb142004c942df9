// The memory plan: what a layout says it takes, against the sizes that it is made of.
#include "moesweep/run/layout.h"

#include <algorithm>

#include "catch_beside_torch.h"
#include "support.h"
#include "tiny_model.h"

using namespace moesweep;

namespace {

struct Model {
    Scratch scratch;
    TinyModel tiny;
    Weights weights;
    explicit Model(const std::string& family, Precision precision = Precision::fp32)
        : tiny(write_tiny_model(scratch.folder(), tiny_config(family), 3)),
          weights(scratch.folder(), tiny.config, precision) {}

    std::int64_t bytes_of_layer(std::int64_t l, std::int64_t ranks) const {
        std::int64_t most = 0;
        for (std::int64_t rank = 0; rank < ranks; ++rank)
            most = std::max(most, weights.layer_bytes(l, expert_share(tiny.config.router.num_experts, rank, ranks)));
        return most;
    }
    std::int64_t resident_bytes(std::int64_t ranks) const {
        std::int64_t sum = 0;
        for (std::int64_t l = 0; l < tiny.config.num_hidden_layers; ++l) sum += bytes_of_layer(l, ranks);
        return sum;
    }
    std::int64_t streamed_bytes(std::int64_t ranks) const {
        std::int64_t largest = 0;
        for (std::int64_t l = 0; l < tiny.config.num_hidden_layers; ++l)
            largest = std::max(largest, bytes_of_layer(l, ranks));
        return 2 * largest;
    }
};

constexpr Workload work{.tokens = 10, .base_rows = 20, .more_rows = 30, .kept_bytes = 5000, .items = 40};
constexpr std::int64_t plenty = std::int64_t{1} << 40;

Ranks ranks_with(std::int64_t memory, std::int64_t world = 4) {
    return {world, world, memory, 1'000'000};
}

}  // namespace

TEST_CASE("with memory for all the model is resident on every rank, a unit at a time") {
    const Model model(GENERATE("qwen3_moe", "mixtral", "glm4_moe"), GENERATE(Precision::fp32, Precision::fp64));
    const RunConfig config;
    const Layout layout = choose_layout(config, model.weights, work, ranks_with(plenty));
    CHECK(layout.experts == 1);
    CHECK_FALSE(layout.streamed);
    CHECK(layout.units_per_pass == 1);
    CHECK(layout.items_per_micro_batch == config.run.unit);
    CHECK(layout.memory.limit == plenty);
    CHECK(layout.memory.program == 1'000'000);
    CHECK(layout.memory.weights == model.resident_bytes(1));
    // A row of hidden states and its line, and an item's results: all are there until the pass is over.
    const std::int64_t element = model.weights.dtype() == at::kDouble ? 8 : 4;
    const std::int64_t of_row = model.tiny.config.hidden_size * element;
    CHECK(layout.memory.rows >= config.run.unit * (50 * of_row + 5000));
    CHECK(layout.memory.rows <= config.run.unit * (50 * (of_row + 256) + 5000));
    CHECK(layout.memory.step > 0);
    CHECK(layout.memory.total() ==
          layout.memory.program + layout.memory.weights + layout.memory.rows + layout.memory.step);
}

TEST_CASE("the less memory, the more ranks share a model, until it is streamed") {
    const Model model("qwen3_moe");
    const RunConfig config;
    std::int64_t experts_before = 0;
    bool streamed_before = false;
    for (double share = 1; share > 0.2; share *= 0.9) {
        const auto rest = choose_layout(config, model.weights, work, ranks_with(plenty)).memory;
        const auto limit = static_cast<std::int64_t>(share * static_cast<double>(rest.total()));
        const Layout layout = choose_layout(config, model.weights, work, ranks_with(limit));
        CAPTURE(share, limit, layout.experts, layout.streamed);
        if (layout.memory.total() > limit) {  // the smallest there is
            for (const std::int64_t experts : {1, 2, 4}) {
                for (const WeightsMode mode : {WeightsMode::resident, WeightsMode::streamed}) {
                    RunConfig fixed;
                    fixed.parallel.experts = experts;
                    fixed.model.weights = mode;
                    const Layout other = choose_layout(fixed, model.weights, work, ranks_with(limit));
                    CHECK(layout.memory.total() <= other.memory.total());
                }
            }
            break;
        }
        CHECK(layout.memory.weights ==
              (layout.streamed ? model.streamed_bytes(layout.experts) : model.resident_bytes(layout.experts)));
        if (layout.streamed == streamed_before) CHECK(layout.experts >= experts_before);
        CHECK(layout.streamed >= streamed_before);
        experts_before = layout.experts;
        streamed_before = layout.streamed;
    }
}

TEST_CASE("what is asked for is kept, also where it does not fit") {
    const Model model("mixtral");
    RunConfig config;
    config.parallel.experts = 2;
    config.model.weights = WeightsMode::streamed;
    const Layout layout = choose_layout(config, model.weights, work, ranks_with(1));
    CHECK(layout.experts == 2);
    CHECK(layout.streamed);
    CHECK(layout.items_per_micro_batch == 1);
    CHECK(layout.units_per_pass == 1);
    CHECK(layout.memory.total() > layout.memory.limit);

    config.parallel.experts = 5;
    const Failure failure = failure_of([&] { choose_layout(config, model.weights, work, ranks_with(plenty)); });
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == "parallel.experts: 5 ranks to a group are more than the 4 that run");
}

TEST_CASE("a streamed pass takes as many units as a rank will have, if memory holds them") {
    const Model model("qwen3_moe");
    RunConfig config;
    config.model.weights = WeightsMode::streamed;
    config.run.unit = 3;
    Workload many = work;
    many.items = 100;  // 25 on each of four ranks: 9 units
    CHECK(choose_layout(config, model.weights, many, ranks_with(plenty)).units_per_pass == 9);
    CHECK(choose_layout(config, model.weights, many, ranks_with(plenty, 1)).units_per_pass == 34);
    CHECK(choose_layout(config, model.weights, many, ranks_with(1)).units_per_pass == 1);
}

TEST_CASE("only a size in run.memory is a promise") {
    const Model model("mixtral");
    RunConfig config;
    const Layout layout = choose_layout(config, model.weights, work, ranks_with(1));
    expect_to_fit(config, layout);
    config.run.memory = "1MB";
    const Failure failure = failure_of([&] { expect_to_fit(config, layout); });
    CHECK(failure.code == Exit::usage);
    CHECK_THAT(failure.message, Catch::Matchers::StartsWith("run.memory: 1MB is too little, at least "));
}

TEST_CASE("a pass is cut by its busiest rank; what travels is cut in two at least") {
    Layout layout;
    layout.items_per_micro_batch = 4;
    CHECK(layout.micro_batches(0) == 1);
    CHECK(layout.micro_batches(4) == 1);
    CHECK(layout.micro_batches(5) == 2);
    layout.experts = 2;
    CHECK(layout.micro_batches(1) == 1);
    CHECK(layout.micro_batches(2) == 2);
    CHECK(layout.micro_batches(13) == 4);
}

TEST_CASE("where items wait for room a pass takes more of them than are in flight, as memory allows") {
    const Model model("qwen3_moe");
    RunConfig config;
    config.model.weights = WeightsMode::streamed;
    config.run.unit = 4;
    Workload decode = work;
    decode.waits = true;
    decode.flight_bytes = 1'000'000;
    decode.items_wanted = 16;
    for (const std::int64_t megabytes : {20, 40, 80, 4000}) {
        INFO(megabytes);
        const Layout layout = choose_layout(config, model.weights, decode, ranks_with(megabytes * 1'000'000, 1));
        CHECK(layout.memory.total() <= layout.memory.limit);
        CHECK(layout.items_in_flight >= 1);
        CHECK(layout.items_in_flight <= layout.units_per_pass * config.run.unit);
        CHECK(layout.memory.rows >= layout.items_in_flight * decode.flight_bytes);
        // Nothing waits but for want of memory: one more would not fit.
        if (layout.items_in_flight < layout.units_per_pass * config.run.unit)
            CHECK(layout.memory.total() + 2 * decode.flight_bytes > layout.memory.limit);
        if (megabytes == 4000) CHECK(layout.items_in_flight == decode.items);
        if (megabytes == 20) CHECK(layout.units_per_pass * config.run.unit > layout.items_in_flight);
    }
    config.model.weights = WeightsMode::resident;
    CHECK(choose_layout(config, model.weights, decode, ranks_with(plenty, 1)).items_in_flight == 16);
    CHECK(choose_layout(config, model.weights, work, ranks_with(plenty, 1)).items_in_flight == config.run.unit);
}
