// A pass whose experts are divided over the ranks of mpirun gives the bits of a pass by one rank, however cases are
// divided over ranks and micro-batches.
#include "mpi_world.h"
#include "pass_fixture.h"

using namespace moesweep;

namespace {

struct GroupFixture : Fixture {
    LayerSource share;
    GroupFixture(const Json& json, Precision precision, std::size_t count, bool streamed)
        : Fixture(json, precision, count),
          share(weights, expert_share(model.config.router.num_experts, world().rank(), world().size()), streamed) {}

    /// This rank's cases, and the whole group at work on all.
    std::pair<std::size_t, std::size_t> own_cases() const {
        const auto n = pass_cases.size(), rank = static_cast<std::size_t>(world().rank()),
                   ranks = static_cast<std::size_t>(world().size());
        return {n * rank / ranks, n * (rank + 1) / ranks};
    }
    std::optional<PassResult> run_in_group(Traffic* traffic = nullptr) {
        const auto [begin, end] = own_cases();
        return run_pass({weights, share, world()}, std::span(pass_cases).subspan(begin, end - begin), plan, traffic);
    }
};

template <class Table>
void require_same_lines(const Table& part, const Table& whole, std::size_t first, std::size_t cases) {
    std::vector<std::size_t> lines;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const auto c = static_cast<std::size_t>(whole.case_index[i]);
        if (c >= first && c < first + cases) lines.push_back(i);
    }
    REQUIRE(part.size() == lines.size());
    std::vector<const void*> columns_of_part;
    columns(part, [&](const ColumnInfo&, const auto& column, int) { columns_of_part.push_back(&column); });
    auto next = columns_of_part.begin();
    columns(whole, [&]<class T>(const ColumnInfo& info, const std::vector<T>& column, int width) {
        INFO(info.name);
        const auto& got = *static_cast<const std::vector<T>*>(*next++);
        bool same = true;
        for (std::size_t i = 0; i < lines.size(); ++i)
            for (int j = 0; j < width; ++j)
                same &= got[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)] ==
                        column[lines[i] * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)];
        CHECK(same);
    });
}

}  // namespace

TEST_CASE("divided experts change no bit", "[groups]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::parity);
    const bool streamed = GENERATE(false, true);
    INFO(family);
    const std::size_t count = GENERATE(2, 9);  // two: some ranks of four have none
    GroupFixture f(tiny_config(family), precision, count, streamed);
    f.plan.vectors = Vectors::patches;
    const PassResult whole = f.run(f.pass_cases);
    for (const std::int64_t micro_batches : {1, 2, 5}) {
        f.plan.micro_batches = micro_batches;
        const auto part = f.run_in_group();
        REQUIRE(part);
        const auto [begin, end] = f.own_cases();
        CHECK(std::equal(part->delta_noised.begin(), part->delta_noised.end(),
                         whole.delta_noised.begin() + static_cast<std::ptrdiff_t>(begin)));
        CHECK(part->delta_clean.size() == end - begin);
        require_same_lines(part->tables.base, whole.tables.base, begin, end - begin);
        require_same_lines(part->tables.routing, whole.tables.routing, begin, end - begin);
        require_same_lines(part->tables.rows, whole.tables.rows, begin, end - begin);
        CHECK(part->tables.rows.patch_width == f.model.config.hidden_size);
    }
}

TEST_CASE("more ranks than experts leave some without any", "[groups]") {
    Json json = tiny_config("mixtral");
    json["num_local_experts"] = 3;
    json["num_experts_per_tok"] = 2;
    GroupFixture f(json, Precision::fp32, 4, false);
    const PassResult whole = f.run(f.pass_cases);
    const auto part = f.run_in_group();
    REQUIRE(part);
    const auto [begin, end] = f.own_cases();
    require_same_lines(part->tables.rows, whole.tables.rows, begin, end - begin);
}

TEST_CASE("one rank's wish stops the group at the same step", "[groups]") {
    GroupFixture f(tiny_config("qwen3_moe"), Precision::fp32, 8, true);
    f.plan.micro_batches = 3;
    for (const int asked_before : {0, 1, 3, 4}) {
        int asked = 0;
        f.plan.control.stop = [&] { return asked++ == asked_before && world().rank() == world().size() - 1; };
        CHECK_FALSE(f.run_in_group());
        const auto all = world().gather_all(std::vector<double>{double(asked)});
        CHECK(std::ranges::all_of(all, [&](double n) { return n == asked_before + 1; }));
    }
    f.plan.control.stop = [] { return false; };
    CHECK(f.run_in_group());  // nothing is left over from those that were abandoned
}

TEST_CASE("a row travels once to each rank that holds some of its experts", "[groups]") {
    GroupFixture f(tiny_config("qwen3_moe"), Precision::fp32, 6, false);
    Traffic traffic;
    REQUIRE(f.run_in_group(&traffic));
    std::int64_t rows = 0, slots = 0;
    for (const LayerTraffic& layer : traffic) {
        rows += layer.rows;
        slots += layer.slots_computed;
        CHECK((layer.bytes > 0) == (layer.rows > 0 || layer.bytes > 0));
    }
    const auto all_slots = world().gather_all(std::vector<double>{double(slots)});
    Traffic alone;
    REQUIRE(run_pass({f.weights, f.layers, f.alone}, f.pass_cases, f.plan, &alone));
    std::int64_t expected = 0;
    for (const LayerTraffic& layer : alone) {
        expected += layer.slots_computed;
        CHECK(layer.rows == 0);
        CHECK(layer.bytes == 0);
    }
    CHECK(std::accumulate(all_slots.begin(), all_slots.end(), 0.0) == double(expected));  // each slot is computed once
    if (world().size() == 1) CHECK(rows == 0);
    if (world().size() > 1) CHECK(rows > 0);
    const auto K = static_cast<std::int64_t>(f.model.config.router.num_experts_per_tok);
    CHECK(rows <= expected / K * std::min<std::int64_t>(K, world().size() - 1));
}
