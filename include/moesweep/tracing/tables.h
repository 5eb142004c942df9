// The tables of a tracing run (docs/store.md): what the base runs gave, what they routed to, and the patched rows.
#pragma once
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <vector>

#include "moesweep/store/unit.h"

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
    std::int32_t output_width = 0;         ///< D where outputs are kept, else 0
    std::vector<float> output;             ///< (n, D) MoE output, in /vectors
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
    std::int32_t patch_width = 0;                          ///< D where patches are kept, else 0
    std::vector<float> patch;                              ///< (n, D) what was added to the MoE output, in /vectors
    std::size_t size() const { return case_index.size(); }
    bool operator==(const RowTable&) const = default;
};

/// What the base runs of a case gave, a line per case.
struct BaseTable {
    std::vector<std::int32_t> case_index;
    std::vector<double> delta_clean, delta_noised;
    std::size_t size() const { return case_index.size(); }
    bool operator==(const BaseTable&) const = default;
};

/// What one unit of cases yields: all lines of its cases.
struct UnitTables {
    static constexpr const char* item = "case";
    ItemRange items;  ///< indices into /cases
    BaseTable base;
    RoutingTable routing;
    RowTable rows;
    bool operator==(const UnitTables&) const = default;
};

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
    visit(ColumnInfo{"output", "", "MoE output at the last position, a line for each of /routing", nullptr, 0, true,
                     "vectors"},
          t.output, t.output_width);
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
    visit(ColumnInfo{"patch", "", "vector added to the noised MoE output, a line for each of /rows", nullptr, 0, true,
                     "vectors"},
          t.patch, t.patch_width);
}

// The lines' keys: what they are sorted by, without a repeat.
inline auto key(const BaseTable& t, std::size_t line) {
    return std::tuple(t.case_index[line]);
}
inline auto key(const RoutingTable& t, std::size_t line) {
    return std::tuple(t.case_index[line], t.layer[line], t.run[line]);
}
inline auto key(const RowTable& t, std::size_t line) {
    return std::tuple(t.case_index[line], t.layer[line], t.kind[line], t.expert[line], t.members[line]);
}

template <class Unit, class Visit>
requires std::is_same_v<std::remove_const_t<Unit>, UnitTables>
void tables(Unit& unit, Visit&& visit) {
    visit("base", unit.base);
    visit("routing", unit.routing);
    visit("rows", unit.rows);
}

}  // namespace moesweep
