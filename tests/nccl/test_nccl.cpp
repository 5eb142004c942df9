// The program's calls of NCCL, against a stand-in for libnccl that the tests build (stand_in.h), under mpirun.
#include <algorithm>
#include <thread>

#include "catch_beside_torch.h"
#include "device_stream.h"
#include "host_stream.h"
#include "mpi_world.h"
#include "nccl_network.h"
#include "stand_in.h"
#include "transfers.h"

using namespace moesweep;

namespace {

/// Rows that the stream `home` computes, exchanges and then writes over, and that `user` reads when they are there.
class Exchange {
  public:
    Exchange(DeviceNetwork& network, Transfer transfer, Stream home) : rows(std::move(transfer)), home_(home) {
        sent_ = at::full_like(rows.sent, -1);
        received = at::full_like(rows.expected, -2);
        put(home, [sent = sent_, to = rows.sent] { sent.copy_(to); });
        const auto bytes = [this](const std::vector<std::int64_t>& counts) {
            std::vector<std::size_t> all;
            for (const auto n : counts)
                all.push_back(static_cast<std::size_t>(n * rows.sent.size(1)) * rows.sent.element_size());
            return all;
        };
        under_way_ = network.start({static_cast<const std::byte*>(sent_.const_data_ptr()), bytes(rows.send)},
                                   {static_cast<std::byte*>(received.data_ptr()), bytes(rows.receive)}, home);
    }

    /// What `user` finds once all is done.
    at::Tensor read(Stream user) {
        at::Tensor seen = at::full_like(received, -3);
        under_way_->wait(user);
        put(user, [seen, received = received] { seen.copy_(received); });
        drop();
        return seen;
    }

    /// Gives the rows to be sent back to their stream, whose next work may use their memory.
    void drop() {
        under_way_.reset();
        put(home_, [sent = sent_] { sent.fill_(-4); });
    }

    Transfer rows;
    at::Tensor received;

  private:
    at::Tensor sent_;
    Stream home_;
    std::unique_ptr<DeviceNetwork::Transfer> under_way_;
};

Transfer some_rows(const Comm& ranks, std::mt19937& random, std::int64_t width = 5) {
    return make_transfer(ranks, make_counts(ranks.size(), Shape::random, random), width, at::kFloat);
}

/// What `step` throws, which is the same on every rank.
template <class Step>
std::string failure_of(Step step) {
    try {
        step();
    } catch (const Error& error) {
        CHECK(error.code() == Exit::internal);
        return error.what();
    }
    return "no failure";
}

}  // namespace

TEST_CASE("rows arrive by NCCL whole and in order, whatever their numbers", "[nccl]") {
    const auto shape = GENERATE(Shape::random, Shape::none, Shape::to_one, Shape::from_one);
    const auto dtype = GENERATE(at::kFloat, at::kDouble, at::kLong, at::kBFloat16);
    std::mt19937 random(static_cast<unsigned>(shape) * 7 + 1);
    const auto network = connect_nccl(world());
    const OwnStream home;
    for (const std::int64_t width : {1, 3, 257}) {
        Exchange exchange(*network, make_transfer(world(), make_counts(world().size(), shape, random), width, dtype),
                          home.get());
        const at::Tensor seen = exchange.read(home.get());
        synchronise(home.get());
        CHECK(at::equal(seen, exchange.rows.expected));
    }
}

TEST_CASE("nothing waits for rows but the streams that use them", "[nccl]") {
    std::mt19937 random(3);
    const auto network = connect_nccl(world());
    const OwnStream home, other;
    Exchange exchange(*network, some_rows(world(), random), home.get());
    const at::Tensor seen = exchange.read(other.get());
    CHECK(at::equal(exchange.received, at::full_like(exchange.received, -2)));  // nothing has begun
    CHECK(at::equal(seen, at::full_like(seen, -3)));
    if (GENERATE(false, true)) synchronise(home.get());  // writes over what was sent, but not before it has gone
    synchronise(other.get());  // and this reads what has come, but not before home has computed what was to go
    CHECK(at::equal(seen, exchange.rows.expected));
}

TEST_CASE("transfers by NCCL may be under way together and be left to their destructor", "[nccl]") {
    std::mt19937 random(5);
    const auto network = connect_nccl(world());
    const OwnStream home;
    std::vector<Exchange> exchanges;
    for (int i = 0; i < 6; ++i) exchanges.emplace_back(*network, some_rows(world(), random, 1 + i * 40), home.get());
    exchanges[0].drop();
    std::vector<at::Tensor> seen(exchanges.size());
    for (std::size_t i = exchanges.size(); i-- > 1;) seen[i] = exchanges[i].read(home.get());
    synchronise(home.get());
    for (std::size_t i = 1; i < exchanges.size(); ++i) CHECK(at::equal(seen[i], exchanges[i].rows.expected));
    CHECK(at::equal(exchanges[0].received, exchanges[0].rows.expected));  // it succeeded nevertheless
}

TEST_CASE("counts of zero make no call, and each transfer is one group", "[nccl]") {
    std::mt19937 random(11);
    const auto network = connect_nccl(world());
    const OwnStream home;
    const Transfer rows = some_rows(world(), random);
    const int sends = stand_in_calls("ncclSend"), receives = stand_in_calls("ncclRecv"),
              groups = stand_in_calls("ncclGroupEnd");
    Exchange exchange(*network, rows, home.get());
    const auto not_zero = [](const std::vector<std::int64_t>& counts) {
        return std::ranges::count_if(counts, [](std::int64_t n) { return n > 0; });
    };
    CHECK(stand_in_calls("ncclSend") - sends == not_zero(rows.send));
    CHECK(stand_in_calls("ncclRecv") - receives == not_zero(rows.receive));
    CHECK(stand_in_calls("ncclGroupEnd") - groups == 1);
    synchronise(home.get());
}

TEST_CASE("a part of the ranks has a network by itself", "[nccl]") {
    std::mt19937 random(7);
    const Comm part = world().split(world().rank() % 2, -world().rank());
    const auto all = connect_nccl(world()), own = connect_nccl(part);
    const OwnStream home;
    Exchange wide(*all, some_rows(world(), random), home.get());
    Exchange narrow(*own, some_rows(part, random), home.get());
    const at::Tensor from_part = narrow.read(home.get()), from_all = wide.read(home.get());
    synchronise(home.get());
    CHECK(at::equal(from_part, narrow.rows.expected));
    CHECK(at::equal(from_all, wide.rows.expected));
}

TEST_CASE("a network is finished in good order, but aborted on the way out with an Error", "[nccl]") {
    const auto ends = [] { return std::pair(stand_in_calls("ncclCommDestroy"), stand_in_calls("ncclCommAbort")); };
    const auto before = ends();
    connect_nccl(world());
    CHECK(ends() == std::pair(before.first + 1, before.second));
    CHECK(failure_of([] {
              const auto network = connect_nccl(world());
              fail(Exit::internal, "of this test");
          }) == "of this test");
    CHECK(ends() == std::pair(before.first + 1, before.second + 1));
    CHECK_FALSE(Comm::failure());  // neither is known any more
}

TEST_CASE("a call that NCCL refuses is an Error that names it, and the next network works", "[nccl]") {
    const std::string call = GENERATE("ncclCommInitRankConfig", "ncclGroupStart", "ncclSend", "ncclRecv",
                                      "ncclGroupEnd", "ncclCommGetAsyncError");
    const OwnStream home;
    std::mt19937 random(13);
    const Transfer rows = make_transfer(world(),
                                        Counts(static_cast<std::size_t>(world().size()),
                                               std::vector<std::int64_t>(static_cast<std::size_t>(world().size()), 2)),
                                        3, at::kFloat);
    const int destroyed = stand_in_calls("ncclCommDestroy");
    const std::string what = failure_of([&] {
        if (call == "ncclCommInitRankConfig") stand_in_refuses(call, ncclSystemError);
        const auto network = connect_nccl(world());
        stand_in_refuses(call, ncclSystemError);
        Exchange(*network, rows, home.get());
    });
    CHECK(what.find("NCCL: " + call) == 0);
    CHECK(what.find("unhandled system error: the stand-in's last word") != std::string::npos);
    CHECK(stand_in_calls("ncclCommDestroy") == destroyed);

    const auto network = connect_nccl(world());
    Exchange exchange(*network, some_rows(world(), random), home.get());
    const at::Tensor seen = exchange.read(home.get());
    synchronise(home.get());
    CHECK(at::equal(seen, exchange.rows.expected));
}

TEST_CASE("an id that the root does not get is an Error of all", "[nccl]") {
    if (world().root()) stand_in_refuses("ncclGetUniqueId", ncclSystemError);
    CHECK_THROWS_AS(connect_nccl(world()), SharedError);
}

TEST_CASE("what goes wrong behind the calls is an Error of the next", "[nccl]") {
    std::mt19937 random(17);
    const OwnStream home;
    const Transfer rows = some_rows(world(), random);
    const bool while_waiting = GENERATE(false, true);
    const int aborted = stand_in_calls("ncclCommAbort");
    const std::string what = failure_of([&] {
        const auto network = connect_nccl(world());
        std::optional<Exchange> exchange;
        if (while_waiting) exchange.emplace(*network, rows, home.get());
        CHECK_FALSE(Comm::failure());
        stand_in_fails_behind(ncclRemoteError);
        CHECK(Comm::failure() == "NCCL: asynchronous error: remote process exited: the stand-in's last word");
        if (while_waiting)
            exchange->read(home.get());
        else
            exchange.emplace(*network, rows, home.get());
    });
    stand_in_fails_behind(ncclSuccess);
    CHECK(what == "NCCL: asynchronous error: remote process exited: the stand-in's last word");
    CHECK(stand_in_calls("ncclCommAbort") == aborted + 1);
}

TEST_CASE("a network that another thread has aborted takes no more rows", "[nccl]") {
    std::mt19937 random(19);
    const OwnStream home;
    const auto network = connect_nccl(world());
    const int aborted = stand_in_calls("ncclCommAbort");
    std::thread(DeviceNetwork::abort_all).join();
    CHECK(stand_in_calls("ncclCommAbort") == aborted + 1);
    CHECK(failure_of([&] { Exchange(*network, some_rows(world(), random), home.get()); }) == "NCCL: aborted");
}
