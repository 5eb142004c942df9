// The pass on a device: no tensor is left behind on the CPU, and layers are there when they are needed and not before they may
// be replaced. The device is a stand-in (device/stand_in_device.h), so this says nothing of a GPU's numbers.
#include "../src/model/products.h"
#include "device/stand_in_device.h"
#include "pass_fixture.h"

using namespace moesweep;

namespace {

/// The cases of a fixture on the stand-in.
PassResult on_the_device(const Fixture& f, Precision precision, bool streamed, const PassPlan& plan) {
    const Weights weights(f.scratch.folder(), f.model.config, precision, stand_in_device);
    LayerSource layers(weights, {0, f.model.config.num_experts}, streamed);
    run_pass({weights, layers, f.alone}, std::span(f.pass_cases).first(1),
             plan);  // a second pass finds the layers' memory used
    return run_pass({weights, layers, f.alone}, f.pass_cases, plan).value();
}

template <class Table>
void require_same_table(const Table& got, const Table& expected) {
    std::vector<std::string> different;
    columns(got, [&](const ColumnInfo& info, const auto& column, int) {
        bool same = false;
        columns(expected, [&](const ColumnInfo& other, const auto& wanted, int) {
            if constexpr (std::is_same_v<decltype(column), decltype(wanted)>)
                if (std::string(info.name) == other.name) same = column == wanted;
        });
        if (!same) different.push_back(info.name);
    });
    CHECK(different == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("a pass on a device has the numbers of the CPU", "[device]") {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision = GENERATE(Precision::fp32, Precision::fp64, Precision::split, Precision::parity);
    const bool streamed = GENERATE(false, true);
    INFO(family);
    product_library() = ProductLibrary::blas;  // the stand-in has no other
    Fixture f(tiny_config(family), precision, 7);
    f.plan.vectors = Vectors::patches;
    f.plan.micro_batches = 2;
    for (auto& site : f.plan.sites)
        if (site.any()) site.subsets = site.equal_norm = true;
    for (auto& c : f.pass_cases) c.pair = std::array<std::int32_t, 2>{0, 1};
    const PassResult expected = f.run(f.pass_cases);
    const long before = operations_on_the_stand_in();
    const PassResult got = on_the_device(f, precision, streamed, f.plan);
    CHECK(operations_on_the_stand_in() > before + 1000);
    CHECK(got.delta_clean == expected.delta_clean);
    CHECK(got.delta_noised == expected.delta_noised);
    require_same_table(got.tables.rows, expected.tables.rows);
    require_same_table(got.tables.routing, expected.tables.routing);
    CHECK(got.tables.vectors[0].values == expected.tables.vectors[0].values);
}

TEST_CASE("the stand-in refuses what a GPU would", "[device]") {
    const at::Tensor there = at::ones({3}).to(stand_in_device), here = at::ones({3});
    CHECK((there + there).cpu().sum().item<float>() == 6);
    CHECK_THROWS(there + here);
    CHECK_THROWS(there.index_select(0, at::tensor({0, 1}, at::kLong)));
}
