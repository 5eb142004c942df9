// Rows beyond the block's, the experts' and the coalitions': subsets of the clean top-k, and pairs at equal norm.
#include <bit>
#include <cmath>
#include <map>

#include "pass_fixture.h"

using namespace moesweep;

namespace {

/// The clean experts of a site by descending weight, as in /routing: what the bits of `members` number.
std::vector<int> clean_experts(const RoutingTable& routing, std::int32_t case_index, std::int32_t layer) {
    const auto K = static_cast<std::size_t>(routing.k);
    for (std::size_t line = 0; line < routing.size(); ++line)
        if (routing.case_index[line] == case_index && routing.layer[line] == layer &&
            routing.run[line] == RunKind::clean)
            return {routing.expert.begin() + static_cast<std::ptrdiff_t>(line * K),
                    routing.expert.begin() + static_cast<std::ptrdiff_t>((line + 1) * K)};
    return {};
}

constexpr std::int32_t pair_layer = 2;

/// Subsets at every MoE layer, and at one of them the first and the last of each case's clean experts as a pair.
struct ControlFixture : Fixture {
    ControlFixture(const Json& json, Precision precision, std::size_t count) : Fixture(json, precision, count) {
        const auto routing = run(pass_cases).tables.routing;
        for (auto& c : pass_cases) {
            const auto experts = clean_experts(routing, c.index, pair_layer);
            c.pair = {experts.front(), experts.back()};
        }
        for (auto& site : plan.sites) site.subsets = site.any();
        plan.sites[pair_layer].equal_norm = true;
    }
};

/// The row of a site, by kind and by expert or members.
std::size_t find_row(const RowTable& rows, std::size_t like, Kind kind, std::int32_t expert, std::int32_t members) {
    for (std::size_t row = 0; row < rows.size(); ++row)
        if (rows.case_index[row] == rows.case_index[like] && rows.layer[row] == rows.layer[like] &&
            rows.kind[row] == kind && rows.expert[row] == expert && rows.members[row] == members)
            return row;
    return rows.size();
}

void check_same_bits(const RowTable& rows, std::size_t a, std::size_t b) {
    REQUIRE(b < rows.size());
    CHECK(rows.delta[a] == rows.delta[b]);
    CHECK(rows.rescue[a] == rows.rescue[b]);
    CHECK(rows.patch_norm[a] == rows.patch_norm[b]);
}

naive::Vector patch_of(const naive::Block& clean, const naive::Block& noised, int expert) {
    const std::size_t D = clean.output.size();
    naive::Vector patch = contribution(clean, expert, D);
    const naive::Vector other = contribution(noised, expert, D);
    for (std::size_t d = 0; d < D; ++d) patch[d] -= other[d];
    return patch;
}

double norm(const naive::Vector& v) {
    double squares = 0;
    for (const double x : v) squares += x * x;
    return std::sqrt(squares);
}

/// The factor on each expert's patch that a row stands for, from the naive base runs.
std::map<int, double> factors(const Fixture& f, const UnitTables& tables, std::size_t row, const naive::Block& clean,
                              const naive::Block& noised) {
    const auto& rows = tables.rows;
    std::map<int, double> all;
    if (rows.kind[row] == Kind::subset) {
        const auto experts = clean_experts(tables.routing, rows.case_index[row], rows.layer[row]);
        for (std::size_t j = 0; j < experts.size(); ++j)
            if (rows.members[row] >> j & 1) all[experts[j]] = 1;
    } else {
        const auto [a, b] = *f.pass_cases[static_cast<std::size_t>(rows.case_index[row])].pair;
        const double smaller = std::min(norm(patch_of(clean, noised, a)), norm(patch_of(clean, noised, b)));
        all[rows.expert[row]] = smaller / norm(patch_of(clean, noised, rows.expert[row]));
    }
    return all;
}

}  // namespace

TEST_CASE("every subset and every pair at equal norm equals one naive forward", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    INFO(family);
    const ControlFixture f(tiny_config(family), Precision::fp64, 5);
    const auto tables = f.run(f.pass_cases).tables;
    const auto& rows = tables.rows;
    constexpr double tolerance = 1e-10;  // both are double throughout: only the order of sums differs

    std::map<Kind, int> seen;
    for (std::size_t i = 0, row = 0; i < f.cases.size(); ++i) {
        const auto noised_input = embeddings(f, i, true);
        const auto clean = naive::forward(f.model, embeddings(f, i, false)),
                   noised = naive::forward(f.model, noised_input);
        for (; row < rows.size() && rows.case_index[row] == static_cast<std::int32_t>(i); ++row) {
            if (rows.kind[row] != Kind::subset && rows.kind[row] != Kind::equal_norm) continue;
            ++seen[rows.kind[row]];
            const int layer = rows.layer[row];
            const naive::Block &c = clean.blocks.at(layer), &n = noised.blocks.at(layer);
            naive::Vector output = n.output, patch(output.size());
            for (const auto& [expert, factor] : factors(f, tables, row, c, n)) {
                const auto part = patch_of(c, n, expert);
                for (std::size_t d = 0; d < patch.size(); ++d) patch[d] += factor * part[d];
                if (rows.kind[row] == Kind::equal_norm) CHECK(rows.scale[row] == Approx(factor).epsilon(1e-6));
            }
            for (std::size_t d = 0; d < patch.size(); ++d) output[d] += patch[d];
            const double delta =
                naive::delta(f.model, naive::forward(f.model, noised_input, naive::Override{layer, output}),
                             f.cases[i].true_id, f.cases[i].foil_id);
            CHECK(rows.delta[row] == Approx(delta).margin(tolerance));
            CHECK(rows.patch_norm[row] == Approx(norm(patch)).epsilon(1e-6));  // stored as float
        }
    }
    const auto sites = static_cast<int>(f.cases.size()) *
                       static_cast<int>(std::count(f.model.config.is_moe.begin(), f.model.config.is_moe.end(), true));
    CHECK(seen[Kind::subset] == sites * ((1 << f.model.config.router.num_experts_per_tok) - 1));
    CHECK(seen[Kind::equal_norm] > 0);
}

TEST_CASE("a full subset has the clean coalition's bits, one of a single expert the expert's", "[layer_pass]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    INFO(family);
    const ControlFixture f(tiny_config(family), precision, 4);
    const auto tables = f.run(f.pass_cases).tables;
    const auto& rows = tables.rows;
    const std::int32_t full = (1 << tables.routing.k) - 1;
    int subsets = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.kind[row] != Kind::subset) continue;
        ++subsets;
        CHECK(rows.expert[row] == -1);
        CHECK(rows.scale[row] == 1);
        const std::int32_t members = rows.members[row];
        if (members == full) check_same_bits(rows, row, find_row(rows, row, Kind::coalition_clean, -1, 0));
        if (std::popcount(static_cast<std::uint32_t>(members)) != 1) continue;
        const auto place = static_cast<std::size_t>(std::countr_zero(static_cast<std::uint32_t>(members)));
        const int expert = clean_experts(tables.routing, rows.case_index[row], rows.layer[row])[place];
        check_same_bits(rows, row, find_row(rows, row, Kind::expert, expert, 0));
    }
    CHECK(subsets > 0);
}

TEST_CASE("a pair at equal norm has the smaller norm of the two", "[layer_pass]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    const ControlFixture f(tiny_config("qwen3_moe"), precision, 6);
    const auto rows = f.run(f.pass_cases).tables.rows;
    int pairs = 0;
    for (std::size_t row = 0; row + 1 < rows.size(); ++row) {
        if (rows.kind[row] != Kind::equal_norm || rows.kind[row + 1] != Kind::equal_norm) continue;
        ++pairs;
        REQUIRE(rows.case_index[row] == rows.case_index[row + 1]);
        CHECK(rows.expert[row] < rows.expert[row + 1]);
        const std::size_t raw[] = {find_row(rows, row, Kind::expert, rows.expert[row], 0),
                                   find_row(rows, row, Kind::expert, rows.expert[row + 1], 0)};
        const float smaller = std::min(rows.patch_norm[raw[0]], rows.patch_norm[raw[1]]);
        CHECK(rows.patch_norm[row] == Approx(smaller).epsilon(1e-6));
        CHECK(rows.patch_norm[row + 1] == Approx(smaller).epsilon(1e-6));
        CHECK(std::max(rows.scale[row], rows.scale[row + 1]) == 1);  // the smaller patch stays as it is
        for (const std::size_t place : {std::size_t{0}, std::size_t{1}})
            if (rows.scale[row + place] == 1) check_same_bits(rows, row + place, raw[place]);
    }
    CHECK(pairs >= 4);  // of 6: in a prompt of one token that no noise reaches, both patches are zero
}

TEST_CASE("controls add rows and change no other, and a case has the same bits in any company", "[layer_pass]") {
    const auto precision = GENERATE(Precision::fp32, Precision::fp64);
    const ControlFixture f(tiny_config("qwen3_moe"), precision, 7);
    const Fixture plain(tiny_config("qwen3_moe"), precision, 7);
    const auto rows = f.run(f.pass_cases).tables.rows, fewer = plain.run(plain.pass_cases).tables.rows;
    std::vector<double> of_sweep, of_case, alone = f.run(std::span(f.pass_cases).subspan(3, 1)).tables.rows.delta;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.kind[row] < Kind::subset) of_sweep.push_back(rows.delta[row]);
        if (rows.case_index[row] == 3) of_case.push_back(rows.delta[row]);
    }
    CHECK(of_sweep == fewer.delta);
    CHECK(of_case == alone);
}

TEST_CASE("where a patch of the pair is zero, or a case has no pair, there is none at equal norm", "[layer_pass]") {
    ControlFixture f(tiny_config("qwen3_moe"), Precision::fp64, 3);
    const auto pairs = [&] {
        const auto rows = f.run(f.pass_cases).tables.rows;
        return std::count(rows.kind.begin(), rows.kind.end(), Kind::equal_norm);
    };
    CHECK(pairs() > 0);
    SECTION("no noise, no patch") {
        for (auto& c : f.pass_cases) c.noise.zero_();
        CHECK(pairs() == 0);
    }
    SECTION("no pair") {
        for (auto& c : f.pass_cases) c.pair.reset();
        CHECK(pairs() == 0);
    }
}
