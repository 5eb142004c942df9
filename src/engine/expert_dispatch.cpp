#include "moesweep/engine/expert_dispatch.h"

#include <ATen/ATen.h>

#include <chrono>

namespace moesweep {
namespace {

/// Adds the time until its end to a counter.
class Stopwatch {
  public:
    explicit Stopwatch(double& seconds) : seconds_(seconds) {}
    ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    double& seconds_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

const std::int64_t* data(const at::Tensor& t) {
    return t.const_data_ptr<std::int64_t>();
}

std::vector<std::int64_t> to_vector(const at::Tensor& t) {
    return {data(t), data(t) + t.numel()};
}

at::Tensor to_tensor(const std::vector<std::int64_t>& values) {
    return at::tensor(values, at::kLong);
}

}  // namespace

ExpertDispatch::ExpertDispatch(const Comm& group, const ModelConfig& config, const Routing& routing,
                               const at::Tensor& x, bool stop, LayerTraffic& traffic)
    : group_(group), traffic_(traffic), x_(x), routing_(routing), stopped_(stop) {
    if (group.size() > 1) send(config);
}

void ExpertDispatch::send(const ModelConfig& config) {
    const Stopwatch sending(traffic_.seconds_sending);
    const int ranks = group_.size();
    const std::int64_t K = routing_.experts.size(1);
    const at::Tensor slot_expert = routing_.experts.reshape({-1});
    order_ = std::get<1>(at::sort(slot_expert, /*stable=*/true, 0, /*descending=*/false));
    const at::Tensor order = order_.cpu(), counts = at::bincount(slot_expert, {}, config.router.num_experts).cpu();

    std::vector<std::int64_t> rows_out, ids, send_rows, message;
    std::vector<std::int64_t> last_seen_by(static_cast<std::size_t>(x_.size(0)), -1), place(last_seen_by.size());
    std::int64_t slot = 0;
    for (int r = 0; r < ranks; ++r) {
        const std::size_t rows_before = send_rows.size();
        const std::int64_t slots_before = slot;
        const ExpertShare share = expert_share(config.router.num_experts, r, ranks);
        for (std::int64_t e = share.first; e < share.end; ++e) {
            for (const std::int64_t end = slot + data(counts)[e]; slot < end; ++slot) {
                const auto row = static_cast<std::size_t>(data(order)[slot] / K);
                if (last_seen_by[row] != r) {
                    last_seen_by[row] = r;
                    place[row] = static_cast<std::int64_t>(send_rows.size() - rows_before);
                    send_rows.push_back(static_cast<std::int64_t>(row));
                }
                ids.insert(ids.end(), {place[row], e});
            }
        }
        rows_out.push_back(static_cast<std::int64_t>(send_rows.size() - rows_before));
        slots_out_.push_back(slot - slots_before);
        message.insert(message.end(), {rows_out.back(), slots_out_.back(), stopped_});
    }
    const std::vector<std::int64_t> answer = group_.all_to_all(message);
    for (std::size_t r = 0; r < static_cast<std::size_t>(ranks); ++r) {
        rows_in_.push_back(answer[3 * r]);
        slots_in_.push_back(answer[3 * r + 1]);
        stopped_ |= answer[3 * r + 2] != 0;
    }
    if (stopped_) return;

    rows_.emplace(group_.exchange(x_.index_select(0, to_tensor(send_rows).to(x_.device())), rows_out, rows_in_));
    ids_.emplace(group_.exchange(to_tensor(ids).view({-1, 2}), slots_out_, slots_in_));
    const auto own = static_cast<std::size_t>(group_.rank());
    const auto row_bytes = x_.size(1) * static_cast<std::int64_t>(x_.element_size());
    const std::int64_t rows = static_cast<std::int64_t>(send_rows.size()) - rows_out[own];
    traffic_.rows += rows;
    traffic_.bytes += rows * row_bytes + (slot - slots_out_[own]) * 2 * 8;
    for (std::size_t r = 0; r < slots_in_.size(); ++r)
        if (r != own) traffic_.bytes += slots_in_[r] * row_bytes;  // the answers
    x_.reset();
}

void ExpertDispatch::compute(const MoeWeights& moe, const std::function<void()>& between) {
    if (group_.size() == 1) {
        const Stopwatch computing(traffic_.seconds_computing);
        contributions_ = contributions(moe, routing_, x_, between);
        traffic_.slots_computed += routing_.experts.numel();
        return;
    }
    at::Tensor rows, ids;
    {
        const Stopwatch waiting(traffic_.seconds_waiting);
        rows = rows_->wait();
        ids = ids_->wait();
    }
    const Stopwatch computing(traffic_.seconds_computing);
    std::vector<std::int64_t> first_row;  // of each slot's source
    for (std::size_t r = 0, before = 0; r < rows_in_.size(); before += static_cast<std::size_t>(rows_in_[r++]))
        first_row.insert(first_row.end(), static_cast<std::size_t>(slots_in_[r]), static_cast<std::int64_t>(before));
    const auto [experts, by_expert] = at::sort(ids.select(1, 1), /*stable=*/true, 0, /*descending=*/false);
    const at::Tensor slot_rows = (ids.select(1, 0) + to_tensor(first_row)).index_select(0, by_expert);
    const auto held = static_cast<std::int64_t>(moe.experts.size());
    const auto counts = to_vector(at::bincount(experts - moe.first_expert, {}, held));

    const at::Tensor answers = at::empty({ids.size(0), rows.size(1)}, rows.options());
    run_experts(moe, rows, slot_rows.to(rows.device()), counts, [&](std::int64_t begin, const at::Tensor& y) {
        answers.index_copy_(0, by_expert.narrow(0, begin, y.size(0)).to(rows.device()), y);
        between();
    });
    traffic_.slots_computed += ids.size(0);
    answers_.emplace(group_.exchange(answers, slots_in_, slots_out_));
}

at::Tensor ExpertDispatch::collect(Precision precision) {
    if (group_.size() == 1) return std::move(contributions_);
    at::Tensor answers;
    {
        const Stopwatch waiting(traffic_.seconds_waiting);
        answers = answers_->wait();
    }
    const at::Tensor out = at::empty_like(answers), weights = routing_.weights.reshape({-1, 1});
    out.index_copy_(0, order_, weigh(answers, weights.index_select(0, order_), precision));
    return out.view({routing_.experts.size(0), routing_.experts.size(1), out.size(1)});
}

}  // namespace moesweep
