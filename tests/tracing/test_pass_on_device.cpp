// The pass on a device: no tensor is left behind on the CPU, and layers are there when they are needed and not before
// they may be replaced. The stand-in (device/stand_in_device.h) shows that everywhere; where there is a GPU, its
// numbers are tested too.
#include "device/stand_in_device.h"
#include "model/products.h"
#include "moesweep/comm/gpu.h"
#include "pass_fixture.h"

using namespace moesweep;

namespace {

/// The cases of a fixture on a device.
PassResult run_on(c10::Device device, const Fixture& f, Precision precision, bool streamed, const PassPlan& plan) {
    const Weights weights(f.scratch.folder(), f.model.config, precision, device);
    LayerSource layers(weights, {0, f.model.config.router.num_experts}, streamed);
    run_pass({weights, layers, f.alone}, std::span(f.pass_cases).first(1),
             plan);  // the next finds memory that was used
    return run_pass({weights, layers, f.alone}, f.pass_cases, plan).value();
}

/// Every kind of row, and its vectors, in two micro-batches.
void ask_for_everything(Fixture& f) {
    f.plan.vectors = Vectors::patches;
    f.plan.micro_batches = 2;
    for (auto& site : f.plan.sites)
        if (site.any()) site.subsets = site.equal_norm = true;
    for (auto& c : f.pass_cases) c.pair = std::array<std::int32_t, 2>{0, 1};
}

/// How far a device's deltas may be from those of the CPU in fp64, in logits, while those of these models are up to 20
/// apart: the largest distance, in bf16 the median, for there some rows are routed otherwise.
double tolerance(Precision precision) {
    return precision == Precision::fp64    ? 1e-10
           : precision == Precision::fp32  ? 1e-4
           : precision == Precision::split ? 1e-4
                                           : 0.3;
}
bool may_route_otherwise(Precision precision) {
    return precision == Precision::fast || precision == Precision::parity;
}

void check_distance(const std::vector<double>& got, const std::vector<double>& expected, Precision precision) {
    REQUIRE(got.size() == expected.size());
    std::vector<double> distances;
    for (std::size_t i = 0; i < got.size(); ++i) distances.push_back(std::abs(got[i] - expected[i]));
    std::ranges::sort(distances);
    CHECK((may_route_otherwise(precision) ? distances[distances.size() / 2] : distances.back()) <=
          tolerance(precision));
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

/// A device's numbers beside the CPU's in fp64, and its bits in any company and with streamed layers.
void test_pass_on(c10::Device device) {
    const std::string family = GENERATE("qwen3_moe", "mixtral", "glm4_moe");
    const auto precision =
        GENERATE(Precision::fp64, Precision::fp32, Precision::split, Precision::fast, Precision::parity);
    INFO(family << ", precision " << static_cast<int>(precision));
    Fixture f(tiny_config(family), Precision::fp64, 24);
    ask_for_everything(f);
    const PassResult expected = f.run(f.pass_cases);
    const PassResult got = run_on(device, f, precision, /*streamed=*/false, f.plan);
    check_distance(got.delta_clean, expected.delta_clean, precision);
    check_distance(got.delta_noised, expected.delta_noised, precision);
    if (!may_route_otherwise(precision)) {
        CHECK(got.tables.routing.expert == expected.tables.routing.expert);
        check_distance(got.tables.rows.delta, expected.tables.rows.delta, precision);
    }
    for (const auto& [micro_batches, streamed] : {std::pair{1, true}, {7, true}, {24, false}}) {
        INFO("micro-batches " << micro_batches << (streamed ? ", streamed" : ", resident"));
        f.plan.micro_batches = micro_batches;
        const PassResult again = run_on(device, f, precision, streamed, f.plan);
        CHECK(again.delta_clean == got.delta_clean);
        CHECK(again.delta_noised == got.delta_noised);
        require_same_table(again.tables.rows, got.tables.rows);
        require_same_table(again.tables.routing, got.tables.routing);
        CHECK(again.tables.rows.patch == got.tables.rows.patch);
    }
}

/// The kernels of the preset cuda cannot run on the stand-in, which is host memory.
bool has_host_kernels() {
    return !visible_gpus().has_value();
}

}  // namespace

TEST_CASE("a pass on the stand-in has the numbers of the CPU, and the same bits in any company", "[device]") {
    if (!has_host_kernels()) {
        WARN("this is the preset cuda: the stand-in is tested in the others");
        return;
    }
    product_library() = ProductLibrary::blas;  // the stand-in has no other
    const long before = operations_on_the_stand_in();
    test_pass_on(stand_in_device);
    CHECK(operations_on_the_stand_in() > before + 1000);
}

TEST_CASE("a pass on a GPU has the numbers of the CPU, and the same bits in any company", "[gpu]") {
    if (visible_gpus().value_or(0) == 0) {
        WARN("there is no GPU, or this is not the preset cuda: its numbers are not tested");
        return;
    }
    test_pass_on({c10::kCUDA, 0});
}

TEST_CASE("the stand-in refuses what a GPU would", "[device]") {
    const at::Tensor there = at::ones({3}).to(stand_in_device), here = at::ones({3});
    CHECK((there + there).cpu().sum().item<float>() == 6);
    CHECK_THROWS(there + here);
    CHECK_THROWS(there.index_select(0, at::tensor({0, 1}, at::kLong)));
}
