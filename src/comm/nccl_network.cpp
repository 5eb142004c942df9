#include "nccl_network.h"

#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "device_stream.h"

namespace moesweep {
namespace {

bool refused(ncclResult_t result) {
    return result != ncclSuccess && result != ncclInProgress;
}

/// The first of several calls that failed; all of them are made regardless.
struct Calls {
    ncclResult_t result = ncclSuccess;
    const char* name = "";
    void note(ncclResult_t next, const char* call) {
        if (refused(result)) return;
        result = next;
        name = call;
    }
};

/// A non-blocking communicator: a call that needs other ranks returns at once, and is then polled until it is done. So
/// another thread can abort the communicator while this one waits.
class Nccl final : public DeviceNetwork {
  public:
    ~Nccl() override;
    void connect(const Comm& ranks);
    std::unique_ptr<Transfer> start(Parcel<const std::byte> sent, Parcel<std::byte> received, Stream stream) override;
    void abort() noexcept override;
    std::optional<std::string> failure() noexcept override;
    /// Throws if there is a failure().
    void expect_sound();

  private:
    Calls send_and_receive(Parcel<const std::byte> sent, Parcel<std::byte> received);
    template <class Call>
    void run(const char* name, Call call);
    ncclResult_t state();
    std::string words(const char* call, ncclResult_t result) const;

    OwnStream stream_;
    std::timed_mutex calls_;     // another thread may abort
    ncclComm_t comm_ = nullptr;  // null: not yet made, or aborted
    std::atomic<bool> failed_ = false;
};

class Rows final : public DeviceNetwork::Transfer {
  public:
    Rows(Nccl& network, Stream stream) : network_(network), home_(stream) {}

    ~Rows() override {
        if (held_) return;
        try {
            arrived.hold(home_);  // returns its memory to that stream
        } catch (const Error&) {  // the device is lost, and its memory too
        }
    }

    void wait(Stream stream) override {
        network_.expect_sound();
        arrived.hold(stream);
        if (stream != home_) arrived.hold(home_);
        held_ = true;
    }

    Mark ready, arrived;

  private:
    Nccl& network_;
    Stream home_;
    bool held_ = false;
};

Nccl::~Nccl() {
    leave();
    // When leaving with an Error the others may never come: break off what is under way.
    if (std::uncaught_exceptions() > 0 || failed_) abort();
    if (!comm_) return;
    ncclResult_t result = ncclCommFinalize(comm_);
    while (result == ncclInProgress) {
        std::this_thread::yield();
        result = state();
    }
    if (refused(result))
        abort();
    else
        ncclCommDestroy(comm_);
}

std::string Nccl::words(const char* call, ncclResult_t result) const {
    const char* last = ncclGetLastError(comm_);
    return fmt::format("NCCL: {}: {}{}{}", call, ncclGetErrorString(result), last && *last ? ": " : "",
                       last ? last : "");
}

ncclResult_t Nccl::state() {
    const std::lock_guard lock(calls_);
    ncclResult_t behind = ncclSuccess;
    if (!comm_) return ncclInvalidUsage;
    const ncclResult_t result = ncclCommGetAsyncError(comm_, &behind);
    return result == ncclSuccess ? behind : result;
}

/// Makes NCCL calls, which return their results, and waits until they are done.
template <class Call>
void Nccl::run(const char* name, Call call) {
    const Comm::Waiting waiting(name);
    Calls calls;
    {
        const std::lock_guard lock(calls_);
        calls = call();
    }
    while (calls.result == ncclInProgress) {
        std::this_thread::yield();
        calls.result = state();
    }
    if (calls.result == ncclSuccess) return;
    failed_ = true;
    Comm::stay_if_ending();
    const std::lock_guard lock(calls_);
    fail(Exit::internal, "{}", words(calls.name, calls.result));
}

void Nccl::connect(const Comm& ranks) {
    ncclUniqueId id{};
    ranks.together([&] {
        if (!ranks.root()) return;
        const ncclResult_t result = ncclGetUniqueId(&id);
        if (result != ncclSuccess) fail(Exit::internal, "{}", words("ncclGetUniqueId", result));
    });
    const std::string text = ranks.broadcast(std::string(id.internal, sizeof id.internal));
    std::memcpy(id.internal, text.data(), sizeof id.internal);

    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    run("ncclCommInitRankConfig", [&] {
        return Calls{ncclCommInitRankConfig(&comm_, ranks.size(), id, ranks.rank(), &config), "ncclCommInitRankConfig"};
    });
    enter();
}

void Nccl::expect_sound() {
    Comm::stay_if_ending();
    if (const auto what = failure()) {
        failed_ = true;
        fail(Exit::internal, "{}", *what);
    }
}

/// One group, so that NCCL moves all transfers together, a rank's rows for itself included.
Calls Nccl::send_and_receive(Parcel<const std::byte> sent, Parcel<std::byte> received) {
    Calls calls;
    calls.note(ncclGroupStart(), "ncclGroupStart");
    for (std::size_t r = 0; r < sent.bytes.size(); ++r) {
        const auto peer = static_cast<int>(r);
        const std::size_t out = sent.bytes[r], in = received.bytes[r];
        if (out > 0) calls.note(ncclSend(sent.data, out, ncclUint8, peer, comm_, stream_.get()), "ncclSend");
        if (in > 0) calls.note(ncclRecv(received.data, in, ncclUint8, peer, comm_, stream_.get()), "ncclRecv");
        sent.data += out;
        received.data += in;
    }
    calls.note(ncclGroupEnd(), "ncclGroupEnd");  // also after a failure: the group belongs to the thread
    return calls;
}

std::unique_ptr<DeviceNetwork::Transfer> Nccl::start(Parcel<const std::byte> sent, Parcel<std::byte> received,
                                                     Stream stream) {
    expect_sound();
    auto rows = std::make_unique<Rows>(*this, stream);
    rows->ready.set(stream);
    rows->ready.hold(stream_.get());
    run("ncclGroupEnd", [&] { return send_and_receive(sent, received); });
    rows->arrived.set(stream_.get());
    return rows;
}

void Nccl::abort() noexcept {
    std::unique_lock lock(calls_, std::chrono::seconds(1));
    if (!lock || !comm_) return;  // no lock: in a call that does not return; only the process's end can end it
    failed_ = true;
    ncclCommAbort(std::exchange(comm_, nullptr));
}

std::optional<std::string> Nccl::failure() noexcept {
    const std::unique_lock lock(calls_, std::try_to_lock);
    if (!lock) return std::nullopt;  // a call is under way, and reports its own failure
    if (!comm_) return "NCCL: aborted";
    ncclResult_t behind = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(comm_, &behind);
    if (result != ncclSuccess) return words("ncclCommGetAsyncError", result);
    if (refused(behind)) return words("asynchronous error", behind);
    return std::nullopt;
}

}  // namespace

std::unique_ptr<DeviceNetwork> connect_nccl(const Comm& ranks) {
    auto network = std::make_unique<Nccl>();
    network->connect(ranks);
    return network;
}

}  // namespace moesweep
