// Comm under mpirun with 1 to 4 ranks: what each rank sends can be computed by all, so every rank knows what must
// arrive.
#include <algorithm>
#include <random>

#include "catch_beside_torch.h"
#include "moesweep/comm/gpu.h"
#include "mpi_world.h"
#include "transfers.h"

using namespace moesweep;

TEST_CASE("rows arrive whole and in order, whatever their numbers", "[comm]") {
    const auto shape = GENERATE(Shape::random, Shape::none, Shape::to_one, Shape::from_one);
    const auto dtype = GENERATE(at::kFloat, at::kDouble, at::kLong);
    std::mt19937 random(static_cast<unsigned>(shape) * 7 + 1);
    for (const std::int64_t width : {1, 3, 257}) {
        const Transfer t = make_transfer(world(), make_counts(world().size(), shape, random), width, dtype);
        const at::Tensor got = world().exchange(t.sent, t.send, t.receive).wait();
        CHECK(got.scalar_type() == dtype);
        CHECK(at::equal(got, t.expected));
    }
}

TEST_CASE("rows on GPUs arrive whole and in order", "[comm][gpu]") {
    const int gpus = visible_gpus().value_or(0);
    if (gpus == 0) {
        WARN("there is no GPU, or this is not the preset cuda: no rows travel between GPUs");
        return;
    }
    const c10::Device gpu(c10::kCUDA, static_cast<c10::DeviceIndex>(world().rank() % gpus));
    const auto shape = GENERATE(Shape::random, Shape::none, Shape::to_one, Shape::from_one);
    const auto dtype = GENERATE(at::kFloat, at::kLong, at::kBFloat16);
    std::mt19937 random(static_cast<unsigned>(shape) * 7 + 1);
    for (const std::int64_t width : {1, 3, 2048}) {
        const Transfer t = make_transfer(world(), make_counts(world().size(), shape, random), width, dtype);
        std::vector<RowExchange> under_way;
        for (int i = 0; i < 3; ++i) under_way.push_back(world().exchange(t.sent.to(gpu) + i, t.send, t.receive));
        for (std::size_t i = 0; i < under_way.size(); ++i) {
            const at::Tensor got = under_way[i].wait();
            CHECK(got.device() == gpu);
            CHECK(at::equal(got, t.expected.to(gpu) + static_cast<int>(i)));
        }
    }
}

TEST_CASE("exchanges may be under way together and be left to their destructor", "[comm]") {
    std::mt19937 random(5);
    std::vector<Transfer> transfers;
    std::vector<RowExchange> under_way;
    for (int i = 0; i < 6; ++i) {
        transfers.push_back(
            make_transfer(world(), make_counts(world().size(), Shape::random, random), 1 + i * 40, at::kFloat));
        const Transfer& t = transfers.back();
        under_way.push_back(world().exchange(t.sent, t.send, t.receive));
    }
    for (std::size_t i = transfers.size(); i-- > 1;) CHECK(at::equal(under_way[i].wait(), transfers[i].expected));
}

TEST_CASE("a view and a tensor of three dimensions travel by rows", "[comm]") {
    const auto n = static_cast<std::int64_t>(world().size());
    const at::Tensor whole = at::arange(n * 2 * 3 * 8, at::kFloat).view({n, 3, 16}) + 1000.0 * world().rank();
    const std::vector<std::int64_t> ones(static_cast<std::size_t>(n), 1);
    const at::Tensor got = world().exchange(whole.narrow(2, 4, 5), ones, ones).wait();
    REQUIRE(got.sizes() == at::IntArrayRef({n, 3, 5}));
    for (std::int64_t r = 0; r < n; ++r)
        CHECK(at::equal(got[r],
                        whole[world().rank()].narrow(1, 4, 5) + 1000.0 * static_cast<double>(r - world().rank())));
}

TEST_CASE("all_to_all gives each rank its part", "[comm]") {
    std::vector<std::int64_t> values, expected;
    for (int r = 0; r < world().size(); ++r)
        for (int i = 0; i < 3; ++i) {
            values.push_back(100 * world().rank() + 10 * r + i);
            expected.push_back(100 * r + 10 * world().rank() + i);
        }
    CHECK(world().all_to_all(values) == expected);
}

TEST_CASE("messages arrive in the order in which one rank posted them", "[comm]") {
    constexpr int each = 50;
    for (int i = 0; i < each; ++i)
        for (int r = 0; r < world().size(); ++r)
            if (r != world().rank()) world().post(r, {world().rank(), i});
    std::vector<int> next(static_cast<std::size_t>(world().size()));
    for (int missing = each * (world().size() - 1); missing > 0;) {
        const auto message = world().read_message();
        if (!message) continue;
        --missing;
        auto& expected = next[static_cast<std::size_t>(message->from)];
        CHECK(message->words == std::vector<std::int64_t>{message->from, expected++});
    }
    world().barrier();
    CHECK_FALSE(world().read_message());
}

TEST_CASE("values and texts reach all", "[comm]") {
    const int me = world().rank();
    CHECK(world().broadcast(me == 0 ? std::string("from root") : "") == "from root");
    CHECK(world().broadcast(me == 0 ? std::vector<std::int64_t>{4, 5, 6} : std::vector<std::int64_t>{}) ==
          std::vector<std::int64_t>{4, 5, 6});
    CHECK(world().any(me == world().size() - 1));
    CHECK_FALSE(world().any(false));
    const auto texts = world().gather_all(std::string(static_cast<std::size_t>(me), 'x'));
    const auto values = world().gather_all(std::vector<double>(static_cast<std::size_t>(me), me));
    std::vector<double> expected;
    for (int r = 0; r < world().size(); ++r) {
        CHECK(texts[static_cast<std::size_t>(r)].size() == static_cast<std::size_t>(r));
        expected.insert(expected.end(), static_cast<std::size_t>(r), r);
    }
    CHECK(values == expected);
}

TEST_CASE("all throw the error of the lowest rank that failed", "[comm]") {
    const int first = world().size() / 2;
    try {
        world().together([&] {
            if (world().rank() >= first) fail(Exit::data, "rank {} failed", world().rank());
        });
        FAIL("no error");
    } catch (const SharedError& error) {
        CHECK(error.code() == Exit::data);
        CHECK(std::string(error.what()) == fmt::format("rank {} failed", first));
    }
}

TEST_CASE("a part of the ranks works by itself", "[comm]") {
    const Comm part = world().split(world().rank() % 2, -world().rank());
    CHECK(part.size() == (world().size() + 1 - world().rank() % 2) / 2);
    const auto ranks = part.gather_all(std::vector<double>{double(world().rank())});
    CHECK(std::ranges::is_sorted(ranks, std::greater()));  // by the position they gave
    CHECK(std::ranges::all_of(ranks, [](double r) { return int(r) % 2 == world().rank() % 2; }));
}

TEST_CASE("the ranks of a node share memory", "[comm]") {
    const Comm node = world().node();
    const auto memory = node.share_memory(8);
    REQUIRE(memory.size() == 8 * static_cast<std::size_t>(node.size()));
    memory[8 * static_cast<std::size_t>(node.rank())] = std::byte(node.rank() + 1);
    node.barrier();
    for (int r = 0; r < node.size(); ++r) CHECK(memory[8 * static_cast<std::size_t>(r)] == std::byte(r + 1));
    node.barrier();
}

TEST_CASE("one rank without MPI copies", "[comm]") {
    const Comm alone = Comm::alone();
    const at::Tensor rows = at::arange(6).view({3, 2});
    const std::vector<std::int64_t> three{3};
    CHECK(at::equal(alone.exchange(rows, three, three).wait(), rows));
    CHECK(alone.all_to_all(three) == three);
    CHECK(alone.split(1, 0).size() == 1);
    CHECK_FALSE(alone.read_message());
}
