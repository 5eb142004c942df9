// The layer pass against one naive forward per patch, and the promise that company changes no bit.
#include "pass_fixture.h"
#include "using_library.h"

using namespace moesweep;

namespace {

/// The patched MoE output that a row stands for, from the naive base runs.
naive::Vector patched_output(const RowTable& rows, std::size_t row, const naive::Block& clean,
                             const naive::Block& noised) {
    if (rows.kind[row] == Kind::block) return clean.output;
    naive::Vector out = noised.output;
    const auto add = [&](int e) {
        const auto c = contribution(clean, e, out.size()), n = contribution(noised, e, out.size());
        for (std::size_t d = 0; d < out.size(); ++d) out[d] += c[d] - n[d];
    };
    if (rows.kind[row] == Kind::expert) {
        add(rows.expert[row]);
    } else {
        for (const auto& [e, c] : clean.contributions) add(e);
        for (const auto& [e, c] : noised.contributions)
            if (rows.kind[row] == Kind::coalition_union && !clean.contributions.contains(e)) add(e);
    }
    return out;
}

void require_same(const RowTable& a, const RowTable& b) {
    REQUIRE(a.size() == b.size());
    CHECK(a.delta == b.delta);
    CHECK(a.rescue == b.rescue);
    CHECK(a.patch_norm == b.patch_norm);
    CHECK(a.expert == b.expert);
    CHECK((a.kind == b.kind));  // in parentheses: torch offers to print any vector, also of enums
    CHECK(a.layer == b.layer);
}

/// The lines of one case, so that they can be compared between passes.
RowTable rows_of(const RowTable& all, std::int32_t case_index) {
    RowTable some;
    for (std::size_t row = 0; row < all.size(); ++row)
        if (all.case_index[row] == case_index) append(some, all, row, row + 1);
    return some;
}

}  // namespace

TEST_CASE("every row equals one naive forward of the whole prompt", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    INFO(family);
    const Fixture f(tiny_config(family), Precision::fp64, 5);
    const PassResult result = f.run(f.pass_cases);
    constexpr double tolerance = 1e-10;  // both are double throughout: only the order of sums differs

    std::size_t row = 0, line = 0;
    const auto K = static_cast<std::size_t>(result.tables.routing.k);
    for (std::size_t i = 0; i < f.cases.size(); ++i) {
        const Case& c = f.cases[i];
        const auto noised_input = embeddings(f, i, true);
        const auto clean = naive::forward(f.model, embeddings(f, i, false)),
                   noised = naive::forward(f.model, noised_input);
        CHECK(result.delta_clean[i] == Approx(naive::delta(f.model, clean, c.true_id, c.foil_id)).margin(tolerance));
        const double delta_noised = naive::delta(f.model, noised, c.true_id, c.foil_id);
        CHECK(result.delta_noised[i] == Approx(delta_noised).margin(tolerance));

        for (const auto& [layer, block] : clean.blocks) {
            const auto& routing = result.tables.routing;
            for (const auto& [run, b] :
                 {std::pair{RunKind::clean, block}, {RunKind::noised, noised.blocks.at(layer)}}) {
                REQUIRE(routing.case_index[line] == static_cast<std::int32_t>(i));
                REQUIRE(routing.layer[line] == layer);
                REQUIRE(routing.run[line] == run);
                CHECK(routing.gap[line] == Approx(b.gap).margin(1e-6));  // stored as float
                for (std::size_t k = 0; k < K; ++k) {
                    CHECK(routing.expert[line * K + k] == b.routed[k].first);
                    CHECK(routing.weight[line * K + k] == Approx(b.routed[k].second).epsilon(1e-6));
                }
                ++line;
            }
        }
        for (; row < result.tables.rows.size() && result.tables.rows.case_index[row] == static_cast<std::int32_t>(i);
             ++row) {
            const int layer = result.tables.rows.layer[row];
            const auto output =
                patched_output(result.tables.rows, row, clean.blocks.at(layer), noised.blocks.at(layer));
            const auto patched = naive::forward(f.model, noised_input, naive::Override{layer, output});
            const double delta = naive::delta(f.model, patched, c.true_id, c.foil_id);
            CHECK(result.tables.rows.delta[row] == Approx(delta).margin(tolerance));
            CHECK(result.tables.rows.rescue[row] == Approx(delta - delta_noised).margin(tolerance));
        }
    }
    CHECK(row == result.tables.rows.size());
    CHECK(line == result.tables.routing.size());
}

TEST_CASE("a site has a row for every expert routed in either run, and no other", "[layer_pass]") {
    const Fixture f(tiny_config("qwen3_moe"), Precision::fp64, 4);
    const auto tables = f.run(f.pass_cases).tables;
    std::vector<std::vector<int>> expected, actual;
    for (std::size_t line = 0; line < tables.routing.size(); line += 2) {
        const auto K = static_cast<std::size_t>(tables.routing.k);
        std::vector<int> experts(tables.routing.expert.begin() + static_cast<std::ptrdiff_t>(line * K),
                                 tables.routing.expert.begin() + static_cast<std::ptrdiff_t>((line + 2) * K));
        std::sort(experts.begin(), experts.end());
        experts.erase(std::unique(experts.begin(), experts.end()), experts.end());
        for (const int e : experts)
            expected.push_back({tables.routing.case_index[line], tables.routing.layer[line], e});
    }
    for (std::size_t row = 0; row < tables.rows.size(); ++row)
        if (tables.rows.kind[row] == Kind::expert)
            actual.push_back({tables.rows.case_index[row], tables.rows.layer[row], tables.rows.expert[row]});
    CHECK(actual == expected);
}

TEST_CASE("the routing union gives what the block gives, but for the shared expert's change", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const Fixture f(tiny_config(family), Precision::fp64, 5);
    const auto rows = f.run(f.pass_cases).tables.rows;
    double largest = 0;
    std::vector<double> block, joined;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.kind[row] == Kind::block) block.push_back(rows.rescue[row]);
        if (rows.kind[row] == Kind::coalition_union) joined.push_back(rows.rescue[row]);
    }
    REQUIRE(block.size() == joined.size());
    for (std::size_t i = 0; i < block.size(); ++i) largest = std::max(largest, std::abs(block[i] - joined[i]));
    if (f.model.config.shared_expert.intermediate_size == 0)
        CHECK(largest < 1e-12);
    else
        CHECK(largest > 1e-3);
}

TEST_CASE("a zero patch rescues exactly nothing", "[layer_pass]") {
    const auto precision =
        GENERATE(Precision::fp32, Precision::fp64, Precision::split, Precision::fast, Precision::parity);
    Fixture f(tiny_config("qwen3_moe"), precision, 6);
    for (auto& c : f.pass_cases) c.noise.zero_();
    const auto result = f.run(f.pass_cases);
    CHECK(result.delta_clean == result.delta_noised);
    CHECK(std::all_of(result.tables.rows.rescue.begin(), result.tables.rows.rescue.end(),
                      [](double r) { return r == 0; }));
}

TEST_CASE("split has the bits of fp32, whose matrices take twice the memory", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const Using library(GENERATE(from_range(product_libraries())));
    INFO(family);
    const Fixture wide(tiny_config(family), Precision::fp32, 9), narrow(tiny_config(family), Precision::split, 9);
    CHECK(narrow.layers.memory_bytes() < 0.6 * double(wide.layers.memory_bytes()));
    const auto expected = wide.run(wide.pass_cases), got = narrow.run(narrow.pass_cases);
    CHECK(got.delta_clean == expected.delta_clean);
    CHECK(got.delta_noised == expected.delta_noised);
    require_same(got.tables.rows, expected.tables.rows);
}

TEST_CASE("a case has the same bits in any company", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::split, Precision::parity);
    const Using library(GENERATE(from_range(product_libraries())));
    INFO(family);
    Fixture f(tiny_config(family), precision, 24);
    const auto all = f.run(f.pass_cases);

    SECTION("alone") {
        for (std::size_t i = 0; i < f.pass_cases.size(); i += 5) {
            const auto alone = f.run(std::span(f.pass_cases).subspan(i, 1));
            CHECK(alone.delta_clean[0] == all.delta_clean[i]);
            CHECK(alone.delta_noised[0] == all.delta_noised[i]);
            require_same(alone.tables.rows, rows_of(all.tables.rows, static_cast<std::int32_t>(i)));
        }
    }
    SECTION("in another order") {
        std::vector<PassCase> shuffled = f.pass_cases;
        std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(3));
        const auto other = f.run(shuffled);
        require_same(other.tables.rows, all.tables.rows);
        CHECK(other.tables.routing.weight == all.tables.routing.weight);
        CHECK(other.tables.routing.contribution_norm == all.tables.routing.contribution_norm);
        CHECK(other.tables.routing.gap == all.tables.routing.gap);
    }
    SECTION("without rows, and with rows of some layers alone") {
        const SitePlan whole = f.plan.sites[2];
        f.plan.sites.assign(f.plan.sites.size(), {});
        const auto base = f.run(f.pass_cases);
        CHECK(base.delta_clean == all.delta_clean);
        CHECK(base.delta_noised == all.delta_noised);
        CHECK(base.tables.rows.size() == 0);
        f.plan.sites[2] = whole;
        const auto some = f.run(std::span(f.pass_cases).first(9));
        std::vector<double> expected;
        for (std::size_t row = 0; row < all.tables.rows.size(); ++row)
            if (all.tables.rows.layer[row] == 2 && all.tables.rows.case_index[row] < 9)
                expected.push_back(all.tables.rows.delta[row]);
        CHECK(some.tables.rows.delta == expected);
    }
    SECTION("beside a case whose numbers are wild") {
        std::vector<PassCase> pair = {f.pass_cases[3], f.pass_cases[4]};
        pair[1].noise = pair[1].noise * 1e6;
        require_same(rows_of(f.run(pair).tables.rows, 3), rows_of(all.tables.rows, 3));
    }
}

TEST_CASE("subject noise has torch's bits", "[noise]") {
    // torch.randn((3, 8), generator=torch.Generator().manual_seed(7))[0, :4] and its last element
    const at::Tensor noise = subject_noise(3, 8, 1.0, 7);
    const float first[] = {-0.8201345205307007f, 0.39563116431236267f, 0.8989084959030151f, -1.3884038925170898f};
    for (int i = 0; i < 4; ++i) CHECK(noise[0][i].item<float>() == first[i]);
    CHECK(noise[2][7].item<float>() == 1.4058529138565063f);
    CHECK(subject_noise(3, 8, 3.0, 7)[1][1].item<float>() == noise[1][1].item<float>() * 3.0f);
}
