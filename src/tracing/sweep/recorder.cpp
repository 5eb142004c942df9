#include "recorder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace moesweep {
namespace {

void append_floats(std::vector<float>& to, const at::Tensor& values) {
    const at::Tensor flat = values.to(at::kFloat).cpu().contiguous();
    to.insert(to.end(), flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
}

/// The lines' order by case, else as they are.
std::vector<std::size_t> order_by_case(const std::vector<std::int32_t>& case_index) {
    std::vector<std::size_t> order(case_index.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return case_index[a] < case_index[b]; });
    return order;
}

template <class T>
void reorder(std::vector<T>& column, std::size_t width, const std::vector<std::size_t>& order) {
    const std::vector<T> old = std::move(column);
    column.clear();
    column.reserve(old.size());
    for (const auto line : order)
        column.insert(column.end(), old.begin() + static_cast<std::ptrdiff_t>(line * width),
                      old.begin() + static_cast<std::ptrdiff_t>((line + 1) * width));
}

template <class Table>
void reorder(Table& table, const std::vector<std::size_t>& order) {
    columns(table, [&](const ColumnInfo&, auto& column, int width) {
        reorder(column, static_cast<std::size_t>(width), order);
    });
}

}  // namespace

Recorder::Recorder(const ModelConfig& config, std::span<const PassCase> cases, const PassPlan& plan)
    : cases_(cases), keep_routing_(plan.routing), keep_vectors_(plan.vectors) {
    tables_.routing.k = static_cast<std::int32_t>(config.num_experts_per_tok);
    if (keep_vectors_ == Vectors::none) return;
    const char* name = keep_vectors_ == Vectors::outputs ? "output" : "patch";
    tables_.vectors.push_back({name, static_cast<std::int32_t>(config.hidden_size), {}});
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
    if (keep_vectors_ == Vectors::outputs) append_floats(tables_.vectors[0].values, outputs);
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
    if (keep_vectors_ == Vectors::patches) append_floats(tables_.vectors[0].values, patches.vectors);
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

void append(UnitTables& tables, const UnitTables& more) {
    append(tables.base, more.base);
    append(tables.routing, more.routing);
    append(tables.rows, more.rows);
    for (std::size_t i = 0; i < more.vectors.size(); ++i) {
        auto& values = tables.vectors[i].values;
        values.insert(values.end(), more.vectors[i].values.begin(), more.vectors[i].values.end());
    }
}

void sort_by_case(UnitTables& tables) {
    const auto routing_order = order_by_case(tables.routing.case_index),
               row_order = order_by_case(tables.rows.case_index);
    for (VectorTable& vectors : tables.vectors)
        reorder(vectors.values, static_cast<std::size_t>(vectors.width),
                vectors.name == "output" ? routing_order : row_order);
    reorder(tables.base, order_by_case(tables.base.case_index));
    reorder(tables.routing, routing_order);
    reorder(tables.rows, row_order);
}

}  // namespace moesweep
