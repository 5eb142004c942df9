// The columns of a run, as DESIGN section 6 names them: plain vectors of equal length, no torch, no HDF5.
// Each table lists its columns once, in columns(); writing, reading, joining and comparing all walk that list.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "moesweep/tracing/cases.h"

namespace moesweep {

enum class RunKind : std::int8_t { clean = 0, noised = 1 };
inline constexpr const char* run_names[] = {"clean", "noised"};

/// What a row puts back.
enum class Kind : std::int8_t {
    block = 0,            ///< the clean MoE output
    expert = 1,           ///< one expert's patch (eq. 6)
    coalition_clean = 2,  ///< the sum of the clean top-k's patches
    coalition_union = 3,  ///< the sum of the patches of both runs' top-k
    subset = 4,           ///< the sum over some of the clean top-k, named by `members`
    equal_norm = 5,       ///< one expert's patch scaled to the smaller norm of a pair (eq. 10)
};
inline constexpr const char* kind_names[] = {"block",           "expert", "coalition_clean",
                                             "coalition_union", "subset", "equal_norm"};

/// Routing of the last position, a line per (case, layer, run), in that order. K columns in expert, weight,
/// contribution_norm.
struct RoutingTable {
    std::vector<std::int32_t> case_index, layer;
    std::vector<RunKind> run;
    std::int32_t k = 0;                    ///< experts per line (num_experts_per_tok)
    std::vector<std::int32_t> expert;      ///< (n, K) by descending weight
    std::vector<float> weight;             ///< (n, K) w_e
    std::vector<float> contribution_norm;  ///< (n, K) |c_e|
    std::vector<float> gap;                ///< selection score of rank K minus rank K+1; +inf where K = E
    std::size_t size() const { return case_index.size(); }
    bool operator==(const RoutingTable&) const = default;
};

/// Patched rows, sorted by (case, layer, kind, expert, members).
struct RowTable {
    std::vector<std::int32_t> case_index, layer;
    std::vector<Kind> kind;
    std::vector<std::int32_t> expert;   ///< -1 where the kind names none
    std::vector<std::int32_t> members;  ///< of a subset: bit j for the j-th expert of /routing's clean line; else 0
    std::vector<float> scale;           ///< factor on the patch
    std::vector<float> patch_norm;
    std::vector<std::int8_t> clean_active, noised_active;  ///< the expert's presence in each run's top-k; 0 where none
    std::vector<double> delta;                             ///< patched delta
    std::vector<double> rescue;                            ///< delta - delta_noised (eq. 4)
    std::size_t size() const { return case_index.size(); }
    bool operator==(const RowTable&) const = default;
};

/// Vectors of /vectors, row-major (n, width).
struct VectorTable {
    std::string name;  ///< "patch" (aligned with rows) or "output" (aligned with routing)
    std::int32_t width = 0;
    std::vector<float> values;
    bool operator==(const VectorTable&) const = default;
};

/// What the base runs of a case gave, a line per case.
struct BaseTable {
    std::vector<std::int32_t> case_index;
    std::vector<double> delta_clean, delta_noised;
    std::size_t size() const { return case_index.size(); }
    bool operator==(const BaseTable&) const = default;
};

/// What one unit of cases yields: all lines of its cases [case_begin, case_end) (indices into /cases).
struct UnitTables {
    std::int32_t case_begin = 0, case_end = 0;
    BaseTable base;
    RoutingTable routing;
    RowTable rows;
    std::vector<VectorTable> vectors;  ///< none or one
    bool operator==(const UnitTables&) const = default;
};

/// The swept cases under another noise: another scale, or another draw at the run's own scale.
struct Condition {
    double scale = 0;       ///< in standard deviations of the embedding matrix
    std::int32_t draw = 0;  ///< case c draws from noise.seed + case_id + draw x 2^22
    UnitTables tables;
};

/// All numbers of a run: what the study reads and the merged file holds.
struct RunTables {
    std::vector<Case> cases;            ///< every scanned one, in scan order, split
    UnitTables sweep;                   ///< under the run's own noise
    std::vector<Condition> conditions;  ///< further draws, then further scales
    RowTable controls;                  ///< rows of the second pass, at the selected layer: equal_norm and subset
};

/// Named texts: attributes of /meta, /provenance and of a result table.
using Attributes = std::vector<std::pair<std::string, std::string>>;

/// A table of /results: what the study computed, in the form that the store writes and readers get (a group, a dataset
/// a column). The study makes them; the store knows nothing of what they mean.
struct ResultColumn {
    std::string name, unit, meaning;
    std::variant<std::vector<std::int8_t>, std::vector<std::int32_t>, std::vector<std::int64_t>, std::vector<double>,
                 std::vector<std::string>>
        values;
    int width = 1;  ///< > 1: an (n, width) dataset
};
struct ResultTable {
    std::string name, meaning;
    std::vector<ResultColumn> columns;
    Attributes attributes;
};

/// A column's face towards readers.
struct ColumnInfo {
    const char* name;
    const char* unit;  ///< "" where the number has none
    const char* meaning;
    const char* const* enum_names = nullptr;  ///< for enum columns
    int enum_size = 0;
    bool matrix = false;  ///< an (n, width) dataset whatever the width
};

/// Calls visit(ColumnInfo, std::vector<T>& column, int width) for each column of n x width elements: an (n, width)
/// dataset where the info says matrix or width > 1, one of n elements otherwise.
template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, RoutingTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"case", "", "index into /cases"}, t.case_index, 1);
    visit(ColumnInfo{"layer", "", "decoder layer, from 0"}, t.layer, 1);
    visit(ColumnInfo{"run", "", "clean or noised run, last position", run_names, 2}, t.run, 1);
    visit(ColumnInfo{"expert", "", "routed experts by descending weight", nullptr, 0, true}, t.expert, t.k);
    visit(ColumnInfo{"weight", "", "routing weight w_e", nullptr, 0, true}, t.weight, t.k);
    visit(ColumnInfo{"contribution_norm", "", "Euclidean norm of c_e = w_e E_e(h)", nullptr, 0, true},
          t.contribution_norm, t.k);
    visit(ColumnInfo{"gap", "", "selection score of rank k minus rank k+1; +inf where k = E"}, t.gap, 1);
}

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, BaseTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"case", "", "index into /cases"}, t.case_index, 1);
    visit(ColumnInfo{"delta_clean", "logit", "logit(true) - logit(foil) of the clean run"}, t.delta_clean, 1);
    visit(ColumnInfo{"delta_noised", "logit", "logit(true) - logit(foil) of the noised run"}, t.delta_noised, 1);
}

template <class Table, class Visit>
requires std::is_same_v<std::remove_const_t<Table>, RowTable>
void columns(Table& t, Visit&& visit) {
    visit(ColumnInfo{"case", "", "index into /cases"}, t.case_index, 1);
    visit(ColumnInfo{"layer", "", "decoder layer whose MoE output was patched, from 0"}, t.layer, 1);
    visit(ColumnInfo{"kind", "", "what was put back", kind_names, 6}, t.kind, 1);
    visit(ColumnInfo{"expert", "", "the expert put back, -1 where the kind names none"}, t.expert, 1);
    visit(ColumnInfo{"members", "", "of a subset: bit j for the j-th expert of the clean routing; else 0"}, t.members,
          1);
    visit(ColumnInfo{"scale", "", "factor on the patch"}, t.scale, 1);
    visit(ColumnInfo{"patch_norm", "", "Euclidean norm of the patch"}, t.patch_norm, 1);
    visit(ColumnInfo{"clean_active", "", "1 if the expert is in the clean run's top-k"}, t.clean_active, 1);
    visit(ColumnInfo{"noised_active", "", "1 if the expert is in the noised run's top-k"}, t.noised_active, 1);
    visit(ColumnInfo{"delta", "logit", "logit(true) - logit(foil) of the patched run"}, t.delta, 1);
    visit(ColumnInfo{"rescue", "logit", "delta - delta_noised (eq. 4)"}, t.rescue, 1);
}

/// Appends the lines [first, end) of `more` to `table`. Their widths must agree.
template <class Table>
void append(Table& table, const Table& more, std::size_t first, std::size_t end) {
    // The columns of `more`, in the order and of the types in which the next walk meets them.
    std::vector<const void*> sources;
    columns(more, [&](const ColumnInfo&, const auto& column, int) { sources.push_back(&column); });
    auto source = sources.begin();
    columns(table, [&]<class T>(const ColumnInfo&, std::vector<T>& column, int width) {
        const auto lines = static_cast<const std::vector<T>*>(*source++)->begin();
        column.insert(column.end(), lines + static_cast<std::ptrdiff_t>(first) * width,
                      lines + static_cast<std::ptrdiff_t>(end) * width);
    });
}
template <class Table>
void append(Table& table, const Table& more) {
    append(table, more, 0, more.size());
}

}  // namespace moesweep
