#include <ATen/ATen.h>

#include <numeric>

#include "handle.h"

namespace moesweep {
namespace {

/// A tensor's row as one MPI element, so that counts are rows.
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

/// Counts and the offsets that follow from them, as MPI wants them.
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
    at::Tensor sent, received;
    std::optional<RowType> row;
    std::optional<Places> from, to;  // MPI reads them until the exchange is complete
    MPI_Request request = MPI_REQUEST_NULL;

    ~State() {
        if (request != MPI_REQUEST_NULL) MPI_Wait(&request, MPI_STATUS_IGNORE);  // the buffers are still being used
    }
};

RowExchange::RowExchange(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowExchange::RowExchange(RowExchange&&) noexcept = default;
RowExchange& RowExchange::operator=(RowExchange&&) noexcept = default;
RowExchange::~RowExchange() = default;

at::Tensor RowExchange::wait() {
    if (state_->request != MPI_REQUEST_NULL) wait_for("MPI_Ialltoallv", MPI_Wait, &state_->request, MPI_STATUS_IGNORE);
    state_->sent.reset();
    return std::move(state_->received);
}

RowExchange Comm::exchange(const at::Tensor& rows, std::span<const std::int64_t> send_counts,
                           std::span<const std::int64_t> receive_counts) const {
    auto state = std::make_unique<RowExchange::State>();
    state->sent = rows.contiguous();
    if (!handle_) {
        state->received = state->sent;
        return RowExchange(std::move(state));
    }
    std::vector<std::int64_t> shape(rows.sizes().begin(), rows.sizes().end());
    const std::int64_t row_elements =
        std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{1}, std::multiplies());
    state->row.emplace(row_elements * static_cast<std::int64_t>(rows.element_size()));
    state->to.emplace(send_counts);
    state->from.emplace(receive_counts);
    shape[0] = state->from->total;
    state->received = at::empty(shape, rows.options());
    check(MPI_Ialltoallv(state->sent.data_ptr(), state->to->counts.data(), state->to->offsets.data(), state->row->get(),
                         state->received.data_ptr(), state->from->counts.data(), state->from->offsets.data(),
                         state->row->get(), handle_->comm, &state->request),
          "MPI_Ialltoallv");
    return RowExchange(std::move(state));
}

}  // namespace moesweep
