// The choice of a rank's device, for ranks that see GPUs as the test says.
#include <c10/util/Exception.h>

#include "catch_beside_torch.h"
#include "moesweep/comm/gpu.h"
#include "moesweep/config/config.h"
#include "moesweep/model/device_errors.h"
#include "moesweep/run/device.h"
#include "mpi_world.h"

using namespace moesweep;

namespace {

std::string refusal(RunDevice wish, std::optional<int> gpus) {
    try {
        device_of_rank(wish, gpus, world());
    } catch (const SharedError& error) {
        CHECK(error.code() == Exit::usage);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("the ranks of a node take its GPUs in turn", "[device]") {
    for (const auto wish : {RunDevice::automatic, RunDevice::cuda})
        for (const int gpus : {1, 2, 3, 8}) {
            const c10::Device device = device_of_rank(wish, gpus, world());
            CHECK(device.is_cuda());
            CHECK(int{device.index()} == world().rank() % gpus);  // all ranks of this test share a node
        }
}

TEST_CASE("auto is the CPU for all if one rank has no GPU", "[device]") {
    CHECK(device_of_rank(RunDevice::automatic, std::nullopt, world()).is_cpu());
    CHECK(device_of_rank(RunDevice::automatic, 0, world()).is_cpu());
    const bool last = world().rank() == world().size() - 1;
    CHECK(device_of_rank(RunDevice::automatic, last ? 0 : 2, world()).is_cpu());
    CHECK(device_of_rank(RunDevice::cpu, 2, world()).is_cpu());
}

TEST_CASE("cuda without a GPU is refused by name", "[device]") {
    CHECK(refusal(RunDevice::cuda, std::nullopt) ==
          "run.device: cuda, but this program was built without CUDA (preset cuda)");
    const int last = world().size() - 1;
    CHECK(refusal(RunDevice::cuda, world().rank() == last ? 0 : 1) ==
          fmt::format("run.device: cuda, but rank {} sees no GPU", last));
}

TEST_CASE("the device that is chosen is there, and settles the precision", "[device]") {
    const bool gpus = visible_gpus().value_or(0) > 0;
    RunConfig config;
    CHECK(settle_device(config, world()).is_cuda() == gpus);
    CHECK((config.run.device == (gpus ? RunDevice::cuda : RunDevice::cpu)));
    CHECK((config.model.precision == (gpus ? Precision::split : Precision::fp32)));

    for (const auto asked : {Precision::fp64, Precision::parity}) {
        config = RunConfig{};
        config.run.device = RunDevice::cpu;
        config.model.precision = asked;
        CHECK(settle_device(config, world()).is_cpu());
        CHECK((config.model.precision == asked));
    }
}

TEST_CASE("what a device refuses is an Error of one line that names it", "[device]") {
    const c10::Device gpu(c10::kCUDA, 2);
    const auto refusal_of = [&](const std::function<void()>& step) -> std::string {
        try {
            on_device(gpu, step);
        } catch (const Error& error) {
            CHECK(error.code() == Exit::io);
            return error.what();
        }
        return "";
    };
    const std::string memory = "cuda:2: out of memory: other programs may use it too, else set a smaller run.memory";
    CHECK(refusal_of([] {
              TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate 2 GiB");
          }) == memory);
    CHECK(refusal_of([] {
              TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`");
          }) == memory);
    CHECK(refusal_of([] {
              throw c10::AcceleratorError({}, 719, "CUDA error: unspecified launch failure\nCompile with");
          }) == "cuda:2: CUDA error: unspecified launch failure");
    CHECK_THROWS_AS(on_device(gpu, [] { TORCH_CHECK(false, "a mistake of ours"); }), c10::Error);
    CHECK_THROWS_AS(on_device(gpu, [] { fail(Exit::data, "a NaN"); }), Error);
    CHECK(refusal_of([] {}).empty());
}
