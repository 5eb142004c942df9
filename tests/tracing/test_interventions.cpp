// The patches of a layer alone, against loops that follow their definitions one number at a time.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include <ATen/CPUGeneratorImpl.h>

#include "catch_beside_torch.h"
#include "moesweep/tracing/interventions.h"

using namespace moesweep;

namespace {

constexpr std::int64_t width = 7;  // D

/// Whom the last position of a case is sent to, by descending weight.
struct Routed {
    std::vector<std::int64_t> clean, noised;
    std::optional<Pair> pair = {};
};

/// Cases at one layer: what make_patches reads, and owns here.
struct Layer {
    std::vector<Routed> cases;
    at::Tensor contributions, outputs;  // [2B, K, D], [2B, D]

    Patches patches(const SitePlan& plan) const {
        std::vector<std::int64_t> experts;
        std::vector<std::optional<Pair>> pairs;
        for (const Routed& routed : cases) {
            for (const auto& run : {routed.clean, routed.noised}) experts.insert(experts.end(), run.begin(), run.end());
            pairs.push_back(routed.pair);
        }
        return make_patches({experts, contributions, outputs, pairs}, plan);
    }
    Layer alone(std::size_t b) const {
        const auto first = static_cast<std::int64_t>(2 * b);
        return {{cases[b]}, contributions.narrow(0, first, 2), outputs.narrow(0, first, 2)};
    }
};

Layer random_layer(const std::vector<Routed>& cases, at::ScalarType dtype, std::uint64_t seed = 1) {
    const auto generator = at::detail::createCPUGenerator(seed);
    const auto runs = static_cast<std::int64_t>(2 * cases.size()), k = std::int64_t(cases[0].clean.size());
    return {cases, at::randn({runs, k, width}, generator, dtype), at::randn({runs, width}, generator, dtype)};
}

/// Routings that agree, agree in another order, overlap, or share nothing.
std::vector<Routed> some_cases() {
    return {{{4, 1, 9}, {4, 1, 9}, Pair{4, 9}},
            {{0, 7, 3}, {7, 3, 0}, Pair{7, 0}},  // not in ascending order
            {{2, 8, 5}, {5, 6, 1}, Pair{5, 8}},
            {{6, 0, 2}, {9, 3, 4}, Pair{6, 2}},
            {{3, 2, 1}, {0, 2, 8}, {}}};
}

constexpr SitePlan everything{.block = true,
                              .experts = Experts::union_,
                              .coalition_clean = true,
                              .coalition_union = true,
                              .subsets = true,
                              .equal_norm = true};

template <class T>
struct Row {
    Intervention what;
    std::vector<T> vector, output;
};

/// Vectors of one case in type T.
template <class T>
class NaiveCase {
  public:
    NaiveCase(const Layer& layer, std::size_t b) : layer_(layer), routed_(layer.cases[b]), b_(b) {
        for (const auto e : routed_.clean) patches_[e].resize(width);
        for (const auto e : routed_.noised) patches_[e].resize(width);
        for (auto& [e, patch] : patches_)
            for (std::size_t d = 0; d < width; ++d)
                patch[d] = contribution(0, routed_.clean, e, d) - contribution(1, routed_.noised, e, d);
    }

    std::vector<Row<T>> rows(const SitePlan& plan) const {
        std::vector<Row<T>> rows;
        if (plan.block) rows.push_back(block());
        for (const auto& [e, patch] : patches_)
            if (plan.experts == Experts::union_ || (plan.experts == Experts::clean && in(routed_.clean, e)))
                rows.push_back(expert(Kind::expert, e, 1));
        std::vector<std::int64_t> both;
        for (const auto& [e, patch] : patches_) both.push_back(e);
        if (plan.coalition_clean) rows.push_back(sum(Kind::coalition_clean, 0, routed_.clean));
        if (plan.coalition_union) rows.push_back(sum(Kind::coalition_union, 0, both));
        for (std::size_t members = 1; plan.subsets && members < std::size_t{1} << routed_.clean.size(); ++members) {
            std::vector<std::int64_t> chosen;
            for (std::size_t slot = 0; slot < routed_.clean.size(); ++slot)
                if (members >> slot & 1) chosen.push_back(routed_.clean[slot]);
            rows.push_back(sum(Kind::subset, std::int32_t(members), chosen));
        }
        if (plan.equal_norm && routed_.pair) {
            const auto [p, q] = *routed_.pair;
            if (norm(p) > 0 && norm(q) > 0)
                for (const auto e : {std::min(p, q), std::max(p, q)})
                    rows.push_back(expert(Kind::equal_norm, e, std::min(norm(p), norm(q)) / norm(e)));
        }
        return rows;
    }

    double norm(std::int64_t e) const {
        double squares = 0;
        for (const T x : patches_.at(e)) squares += double(x) * double(x);
        return std::sqrt(squares);
    }

  private:
    static bool in(const std::vector<std::int64_t>& experts, std::int64_t e) {
        return std::ranges::find(experts, e) != experts.end();
    }
    T contribution(std::size_t run, const std::vector<std::int64_t>& experts, std::int64_t e, std::size_t d) const {
        for (std::size_t slot = 0; slot < experts.size(); ++slot)
            if (experts[slot] == e)
                return layer_.contributions
                    .template accessor<T, 3>()[std::int64_t(2 * b_ + run)][std::int64_t(slot)][std::int64_t(d)];
        return 0;
    }
    T output(std::size_t run, std::size_t d) const {
        return layer_.outputs.template accessor<T, 2>()[std::int64_t(2 * b_ + run)][std::int64_t(d)];
    }
    Row<T> row(Intervention what, std::vector<T> vector) const {
        std::vector<T> patched(width);
        for (std::size_t d = 0; d < width; ++d) patched[d] = output(1, d) + vector[d];
        return {what, std::move(vector), std::move(patched)};
    }
    Row<T> block() const {
        Row<T> row{{b_, Kind::block}, {}, {}};
        for (std::size_t d = 0; d < width; ++d) {
            row.vector.push_back(output(0, d) - output(1, d));
            row.output.push_back(output(0, d));
        }
        return row;
    }
    Row<T> expert(Kind kind, std::int64_t e, double scale) const {
        std::vector<T> vector = patches_.at(e);
        for (T& x : vector) x *= T(scale);
        return row({b_, kind, std::int32_t(e), 0, scale, in(routed_.clean, e), in(routed_.noised, e)}, vector);
    }
    /// From 0 on, in the order of the experts' numbers.
    Row<T> sum(Kind kind, std::int32_t members, std::vector<std::int64_t> experts) const {
        std::ranges::sort(experts);
        std::vector<T> vector(width);
        for (const auto e : experts)
            for (std::size_t d = 0; d < width; ++d) vector[d] += patches_.at(e)[d];
        return row({b_, kind, -1, members}, vector);
    }

    const Layer& layer_;
    const Routed& routed_;
    std::size_t b_;
    std::map<std::int64_t, std::vector<T>> patches_;  // c_e(clean) - c_e(noised), an expert that is not routed giving 0
};

template <class T>
std::vector<T> values(const at::Tensor& vectors, std::size_t row) {
    const at::Tensor line = vectors[std::int64_t(row)].contiguous();
    REQUIRE(line.numel() == width);
    return {line.data_ptr<T>(), line.data_ptr<T>() + width};
}

/// Every row and every number. Norms alone are summed in another order: their quotient may differ in its last bits.
template <class T>
void check_patches(const Layer& layer, const SitePlan& plan) {
    const Patches patches = layer.patches(plan);
    std::vector<Row<T>> expected;
    for (std::size_t b = 0; b < layer.cases.size(); ++b)
        for (const auto& row : NaiveCase<T>(layer, b).rows(plan)) expected.push_back(row);
    std::ranges::stable_sort(expected, {}, [](const Row<T>& row) {
        return std::tuple(row.what.case_in_batch, row.what.kind, row.what.expert, row.what.members);
    });
    REQUIRE(patches.interventions.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const Intervention &found = patches.interventions[i], &wanted = expected[i].what;
        INFO("row " << i << ", kind " << int(wanted.kind) << ", expert " << wanted.expert);
        CHECK(found.case_in_batch == wanted.case_in_batch);
        CHECK(found.kind == wanted.kind);
        CHECK(found.expert == wanted.expert);
        CHECK(found.members == wanted.members);
        CHECK(found.clean_active == wanted.clean_active);
        CHECK(found.noised_active == wanted.noised_active);
        CHECK(found.scale == Approx(wanted.scale).epsilon(1e-15));
        if (wanted.kind == Kind::equal_norm) continue;
        CHECK(found.scale == 1);
        CHECK(values<T>(patches.vectors, i) == expected[i].vector);
        CHECK(values<T>(patches.outputs, i) == expected[i].output);
    }
}

/// The same of equal-norm rows, whose factors are taken as they were found.
template <class T>
void check_scaled(const Layer& layer, const Patches& patches) {
    for (std::size_t i = 0; i < patches.interventions.size(); ++i) {
        const Intervention& what = patches.interventions[i];
        if (what.kind != Kind::equal_norm) continue;
        const SitePlan union_alone{.experts = Experts::union_};
        for (const auto& row : NaiveCase<T>(layer, what.case_in_batch).rows(union_alone)) {
            if (row.what.expert != what.expert) continue;
            const auto vector = values<T>(patches.vectors, i), output = values<T>(patches.outputs, i);
            const auto noised = values<T>(layer.outputs, 2 * what.case_in_batch + 1);
            for (std::size_t d = 0; d < width; ++d) {
                CHECK(vector[d] == T(what.scale) * row.vector[d]);
                CHECK(output[d] == noised[d] + vector[d]);
            }
        }
    }
}

std::vector<Intervention> of_kind(const Patches& patches, Kind kind) {
    std::vector<Intervention> chosen;
    std::ranges::copy_if(patches.interventions, std::back_inserter(chosen),
                         [&](const Intervention& row) { return row.kind == kind; });
    return chosen;
}

/// One case of two clean experts, 3 and 8, alone in the clean run: their patches are these vectors.
Layer pair_of(const std::vector<double>& of_3, const std::vector<double>& of_8, at::ScalarType dtype) {
    Layer layer{{{{3, 8}, {5, 6}, Pair{8, 3}}}, at::zeros({2, 2, width}, dtype), at::ones({2, width}, dtype)};
    for (std::size_t d = 0; d < of_3.size(); ++d) layer.contributions[0][0][std::int64_t(d)] = of_3[d];
    for (std::size_t d = 0; d < of_8.size(); ++d) layer.contributions[0][1][std::int64_t(d)] = of_8[d];
    return layer;
}

}  // namespace

TEST_CASE("every kind of patch is what a loop over its definition gives", "[interventions]") {
    const std::uint64_t seed = GENERATE(1, 2, 3);
    const SitePlan plan = GENERATE(SitePlan(everything), SitePlan{.block = true}, SitePlan{.experts = Experts::union_},
                                   SitePlan{.experts = Experts::clean}, SitePlan{.coalition_clean = true},
                                   SitePlan{.coalition_union = true}, SitePlan{.subsets = true},
                                   SitePlan{.equal_norm = true}, SitePlan{.block = true, .experts = Experts::clean});
    SECTION("in fp64") {
        const Layer layer = random_layer(some_cases(), at::kDouble, seed);
        check_patches<double>(layer, plan);
        check_scaled<double>(layer, layer.patches(plan));
    }
    SECTION("in fp32, summed in the same order") {
        const Layer layer = random_layer(some_cases(), at::kFloat, seed);
        check_patches<float>(layer, plan);
        check_scaled<float>(layer, layer.patches(plan));
    }
}

TEST_CASE("a case has the same patches in any company", "[interventions]") {
    const auto dtype = GENERATE(at::kDouble, at::kFloat);
    const Layer layer = random_layer(some_cases(), dtype);
    const Patches together = layer.patches(everything);
    std::int64_t first = 0;
    for (std::size_t b = 0; b < layer.cases.size(); ++b) {
        const Patches alone = layer.alone(b).patches(everything);
        const auto n = static_cast<std::int64_t>(alone.interventions.size());
        REQUIRE(first + n <= together.vectors.size(0));
        CHECK(together.vectors.narrow(0, first, n).equal(alone.vectors));
        CHECK(together.outputs.narrow(0, first, n).equal(alone.outputs));
        for (std::size_t i = 0; i < alone.interventions.size(); ++i) {
            const Intervention& found = together.interventions[static_cast<std::size_t>(first) + i];
            CHECK(found.case_in_batch == b);
            CHECK(found.kind == alone.interventions[i].kind);
            CHECK(found.scale == alone.interventions[i].scale);
        }
        first += n;
    }
    CHECK(first == static_cast<std::int64_t>(together.interventions.size()));
}

TEST_CASE("one expert a token: its patch, the coalition and the only subset are one vector", "[interventions]") {
    const auto dtype = GENERATE(at::kDouble, at::kFloat);
    const Patches patches = random_layer({{{2}, {5}}}, dtype)
                                .patches({.experts = Experts::clean, .coalition_clean = true, .subsets = true});
    REQUIRE(patches.interventions.size() == 3);
    for (const std::int64_t row : {1, 2}) CHECK(patches.vectors[row].equal(patches.vectors[0]));
}

TEST_CASE("an expert that both runs have alike keeps its row, with a patch of zeros", "[interventions]") {
    Layer layer = random_layer({{{4, 2}, {2, 4}}}, at::kFloat);
    layer.contributions[1][0] = layer.contributions[0][1];  // expert 2
    const Patches patches = layer.patches({.experts = Experts::union_});
    REQUIRE(patches.interventions.size() == 2);
    CHECK(patches.interventions[0].expert == 2);
    CHECK(patches.vectors[0].count_nonzero().item<std::int64_t>() == 0);
    CHECK(patches.outputs[0].equal(layer.outputs[1]));
    CHECK(patches.vectors[1].count_nonzero().item<std::int64_t>() == width);
}

TEST_CASE("a pair is scaled to the smaller of its norms", "[interventions]") {
    const auto dtype = GENERATE(at::kDouble, at::kFloat);
    const auto pair_rows = [&](const std::vector<double>& of_3, const std::vector<double>& of_8) {
        return pair_of(of_3, of_8, dtype).patches({.equal_norm = true});
    };
    SECTION("the smaller patch stays as it is") {
        const Patches patches = pair_rows({3, 4}, {0, -6, 8});
        const auto rows = of_kind(patches, Kind::equal_norm);
        REQUIRE(rows.size() == 2);
        CHECK((rows[0].expert == 3 && rows[0].scale == 1));
        CHECK((rows[1].expert == 8 && rows[1].scale == 0.5));
        CHECK(patches.vectors.equal(
            at::tensor({3., 4., 0., 0., 0., 0., 0., 0., -3., 4., 0., 0., 0., 0.}, dtype).view({2, width})));
        CHECK(patches.outputs.equal(patches.vectors + 1));
    }
    SECTION("a tie leaves both as they are") {
        const auto rows = of_kind(pair_rows({3, 4}, {0, 0, -5}), Kind::equal_norm);
        REQUIRE(rows.size() == 2);
        CHECK((rows[0].scale == 1 && rows[1].scale == 1));
    }
    SECTION("a patch of zeros on either side leaves no row") {
        CHECK(pair_rows({}, {1, 2}).interventions.empty());
        CHECK(pair_rows({1, 2}, {}).interventions.empty());
        CHECK(pair_rows({}, {}).interventions.empty());
    }
}

TEST_CASE("a pair of zeros takes no row from the cases beside it", "[interventions]") {
    Layer layer = random_layer(some_cases(), at::kDouble);
    layer.contributions.narrow(0, 2, 2).zero_();  // case 1
    const auto rows = of_kind(layer.patches(everything), Kind::equal_norm);
    std::vector<std::size_t> cases;
    for (const auto& row : rows) cases.push_back(row.case_in_batch);
    CHECK(cases == std::vector<std::size_t>{0, 0, 2, 2, 3, 3});  // case 4 has no pair
    check_patches<double>(layer, everything);
}

TEST_CASE("where nothing is planned there is no patch", "[interventions]") {
    CHECK_FALSE(SitePlan{}.any());
    const Patches patches = random_layer(some_cases(), at::kFloat).patches({});
    CHECK(patches.interventions.empty());
    CHECK_FALSE(patches.vectors.defined());
    CHECK_FALSE(patches.outputs.defined());
}
