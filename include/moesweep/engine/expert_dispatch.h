// The way of one micro-batch through the experts of its group: every row goes once to each rank that holds some of its
// experts, and one answer per slot comes back, to be weighted and summed at home in slot order. So it is the same
// arithmetic wherever an expert lives. A group of one rank sends nothing.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/engine/traffic.h"
#include "moesweep/model/experts.h"

namespace moesweep {

class ExpertDispatch {
  public:
    /// Sends rows x [N, D] on their way by their routing. `stop`: this rank is to stop, which all are told. Every rank
    /// of the group takes the same steps of the same micro-batches, with or without rows.
    ExpertDispatch(const Comm& group, const ModelConfig& config, const Routing& routing, const at::Tensor& x, bool stop,
                   LayerTraffic& traffic);

    bool stopped() const { return stopped_; }  ///< some rank of the group is to stop

    /// Runs this rank's experts over what has arrived and sends the answers back. `between` is called after each
    /// expert.
    void compute(const MoeWeights& moe, const std::function<void()>& between);

    /// The contributions c_e = w_e E_e(x) of the rows that were sent: [N, K, D] (paper, eq. 5).
    at::Tensor collect(Precision precision);

  private:
    void send(const ModelConfig& config);

    const Comm& group_;
    LayerTraffic& traffic_;
    at::Tensor x_;  // [N, D], until sent
    Routing routing_;
    at::Tensor order_;  // [N K] slots sorted by expert, and so by owner
    bool stopped_;
    std::vector<std::int64_t> slots_out_, rows_in_, slots_in_;  // per rank of the group
    std::optional<RowExchange> rows_, ids_, answers_;
    at::Tensor contributions_;  // [N, K, D] of a group of one
};

}  // namespace moesweep
