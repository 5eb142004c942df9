#include <ATen/ATen.h>

#include <numeric>

#include "handle.h"

namespace moesweep {
namespace {

/// A tensor's row as one MPI element, so that counts are in rows.
class RowType {
  public:
    explicit RowType(std::int64_t bytes) {
        check(MPI_Type_contiguous(to_int(bytes), MPI_BYTE, &type_), "MPI_Type_contiguous");
        check(MPI_Type_commit(&type_), "MPI_Type_commit");
    }
    ~RowType() { MPI_Type_free(&type_); }
    RowType(const RowType&) = delete;
    RowType& operator=(const RowType&) = delete;
    MPI_Datatype get() const { return type_; }

  private:
    MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

/// Counts and their offsets, as MPI takes them.
struct Places {
    std::vector<int> counts, offsets;
    std::int64_t total = 0;
    explicit Places(std::span<const std::int64_t> rows) {
        for (const auto n : rows) {
            counts.push_back(to_int(n));
            offsets.push_back(to_int(total));
            total += n;
        }
    }
};

}  // namespace

struct RowExchange::State {
    virtual ~State() = default;
    virtual at::Tensor wait() = 0;
};

namespace {

/// Room for `rows` rows like those of `like`.
at::Tensor empty_rows(const at::Tensor& like, std::int64_t rows, const at::TensorOptions& options) {
    std::vector<std::int64_t> shape(like.sizes().begin(), like.sizes().end());
    shape[0] = rows;
    return at::empty(shape, options);
}

std::int64_t row_bytes(const at::Tensor& rows) {
    const auto widths = rows.sizes().slice(1);
    return std::accumulate(widths.begin(), widths.end(), std::int64_t{1}, std::multiplies()) *
           static_cast<std::int64_t>(rows.element_size());
}

/// A rank's rows for itself, if it is the only one.
struct OwnRows final : RowExchange::State {
    explicit OwnRows(at::Tensor all) : rows(std::move(all)) {}
    at::Tensor wait() override { return std::move(rows); }
    at::Tensor rows;
};

/// Rows on the CPU, by MPI.
struct MpiRows final : RowExchange::State {
    MpiRows(MPI_Comm comm, const at::Tensor& rows, std::span<const std::int64_t> send_counts,
            std::span<const std::int64_t> receive_counts, const at::TensorOptions& options)
        : sent(rows), row(row_bytes(rows)), to(send_counts), from(receive_counts) {
        received = empty_rows(rows, from.total, options);
        check(MPI_Ialltoallv(sent.data_ptr(), to.counts.data(), to.offsets.data(), row.get(), received.data_ptr(),
                             from.counts.data(), from.offsets.data(), row.get(), comm, &request),
              "MPI_Ialltoallv");
    }
    ~MpiRows() override {
        if (request != MPI_REQUEST_NULL) MPI_Wait(&request, MPI_STATUS_IGNORE);  // the buffers are still being used
    }
    at::Tensor wait() override {
        if (request != MPI_REQUEST_NULL) wait_for("MPI_Ialltoallv", MPI_Wait, &request, MPI_STATUS_IGNORE);
        sent.reset();
        return std::move(received);
    }

    at::Tensor sent, received;
    RowType row;
    Places to, from;  // MPI reads them until the exchange is complete
    MPI_Request request = MPI_REQUEST_NULL;
};

/// Rows on a device, by the devices' network.
struct DeviceRows final : RowExchange::State {
    DeviceRows(DeviceNetwork& network, const at::Tensor& rows, std::span<const std::int64_t> send_counts,
               std::span<const std::int64_t> receive_counts)
        : sent(rows) {
        const c10::DeviceGuard guard(rows.device());
        const auto in_bytes = [row = row_bytes(rows)](std::span<const std::int64_t> counts) {
            std::vector<std::size_t> bytes;
            for (const auto n : counts) bytes.push_back(static_cast<std::size_t>(n * row));
            return bytes;
        };
        received = empty_rows(rows, std::accumulate(receive_counts.begin(), receive_counts.end(), std::int64_t{0}),
                              rows.options());
        transfer = network.start({static_cast<const std::byte*>(sent.const_data_ptr()), in_bytes(send_counts)},
                                 {static_cast<std::byte*>(received.data_ptr()), in_bytes(receive_counts)},
                                 current_stream(rows.device()));
    }
    at::Tensor wait() override {
        const c10::DeviceGuard guard(received.device());
        transfer->wait(current_stream(received.device()));
        sent.reset();
        return std::move(received);
    }

    at::Tensor sent, received;
    std::unique_ptr<DeviceNetwork::Transfer> transfer;  // destroyed first: it holds the stream of the buffers
};

/// Rows on a device that others share: through pinned host memory and MPI.
struct StagedRows final : RowExchange::State {
    StagedRows(MPI_Comm comm, const at::Tensor& rows, std::span<const std::int64_t> send_counts,
               std::span<const std::int64_t> receive_counts)
        : device(rows.device()),
          pinned(rows.options().device(at::kCPU).pinned_memory(true)),
          host(comm, at::empty(rows.sizes(), pinned).copy_(rows), send_counts, receive_counts, pinned) {}
    at::Tensor wait() override { return host.wait().to(device, /*non_blocking=*/true); }

    at::Device device;
    at::TensorOptions pinned;
    MpiRows host;
};

}  // namespace

RowExchange::RowExchange(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowExchange::RowExchange(RowExchange&&) noexcept = default;
RowExchange& RowExchange::operator=(RowExchange&&) noexcept = default;
RowExchange::~RowExchange() = default;

at::Tensor RowExchange::wait() {
    return state_->wait();
}

RowExchange Comm::exchange(const at::Tensor& rows, std::span<const std::int64_t> send_counts,
                           std::span<const std::int64_t> receive_counts) const {
    const at::Tensor sent = rows.contiguous();
    if (!handle_) return RowExchange(std::make_unique<OwnRows>(sent));
    if (sent.is_cpu())
        return RowExchange(std::make_unique<MpiRows>(handle_->comm, sent, send_counts, receive_counts, sent.options()));
    if (!handle_->asked_for_devices) handle_->devices = connect_devices(*this, sent.device());
    handle_->asked_for_devices = true;
    if (handle_->devices)
        return RowExchange(std::make_unique<DeviceRows>(*handle_->devices, sent, send_counts, receive_counts));
    return RowExchange(std::make_unique<StagedRows>(handle_->comm, sent, send_counts, receive_counts));
}

}  // namespace moesweep
