#include "recorder.h"

#include <ATen/ATen.h>

#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

void append_floats(std::vector<float>& to, const at::Tensor& values) {
    const at::Tensor flat = values.to(at::kFloat).cpu().contiguous();
    to.insert(to.end(), flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
}

}  // namespace

Recorder::Recorder(const ModelConfig& config, std::span<const PassCase> cases, const PassPlan& plan)
    : cases_(cases), keep_routing_(plan.routing) {
    tables_.routing.k = static_cast<std::int32_t>(config.router.num_experts_per_tok);
    const auto width = static_cast<std::int32_t>(config.hidden_size);
    if (plan.vectors == Vectors::outputs) tables_.routing.output_width = width;
    if (plan.vectors == Vectors::patches) tables_.rows.patch_width = width;
}

void Recorder::routing(std::int64_t layer, const Routing& routing, const at::Tensor& contributions,
                       const at::Tensor& outputs) {
    if (!keep_routing_) return;
    auto& table = tables_.routing;
    for (const auto& pass_case : cases_) {
        for (const auto run : {RunKind::clean, RunKind::noised}) {
            table.case_index.push_back(pass_case.index);
            table.layer.push_back(static_cast<std::int32_t>(layer));
            table.run.push_back(run);
        }
    }
    const at::Tensor experts = routing.experts.cpu().contiguous();
    table.expert.insert(table.expert.end(), experts.data_ptr<std::int64_t>(),
                        experts.data_ptr<std::int64_t>() + experts.numel());
    append_floats(table.weight, routing.weights);
    append_floats(table.contribution_norm, row_norms(contributions));
    append_floats(table.gap, routing.gap);
    if (table.output_width > 0) append_floats(table.output, outputs);
}

void Recorder::patches(std::int64_t layer, const Patches& patches) {
    auto& table = tables_.rows;
    for (const auto& row : patches.interventions) {
        table.case_index.push_back(cases_[row.case_in_batch].index);
        table.layer.push_back(static_cast<std::int32_t>(layer));
        table.kind.push_back(row.kind);
        table.expert.push_back(row.expert);
        table.members.push_back(row.members);
        table.scale.push_back(static_cast<float>(row.scale));
        table.clean_active.push_back(row.clean_active);
        table.noised_active.push_back(row.noised_active);
        row_case_.push_back(row.case_in_batch);
    }
    append_floats(table.patch_norm, row_norms(patches.vectors));
    if (table.patch_width > 0) append_floats(table.patch, patches.vectors);
}

PassResult Recorder::finish(const std::vector<double>& deltas) {
    PassResult result;
    for (std::size_t b = 0; b < cases_.size(); ++b) {
        result.delta_clean.push_back(deltas[2 * b]);
        result.delta_noised.push_back(deltas[2 * b + 1]);
        tables_.base.case_index.push_back(cases_[b].index);
    }
    tables_.base.delta_clean = result.delta_clean;
    tables_.base.delta_noised = result.delta_noised;
    for (std::size_t row = 0; row < row_case_.size(); ++row) {
        const double delta = deltas[2 * cases_.size() + row];
        tables_.rows.delta.push_back(delta);
        tables_.rows.rescue.push_back(delta - result.delta_noised[row_case_[row]]);
    }
    result.tables = std::move(tables_);
    return result;
}

}  // namespace moesweep
