// A unit: what is computed and committed together. It is a struct of tables over a range of items, which are what the
// method divides its work by,
//
//     struct MyUnit {
//         static constexpr const char* item = "thing";   // in messages, and the name of the tables' first column
//         ItemRange items;
//         ...tables
//     };
//     template <class U, class Visit> requires std::is_same_v<std::remove_const_t<U>, MyUnit>
//     void tables(U& unit, Visit&& visit) { visit("answers", unit.answers); ... }
//
// and each table gives a key for every line, a tuple of which the first part is the item: auto key(const Table&, line).
// Lines are sorted by their keys, which never repeat.
#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "moesweep/base/error.h"
#include "moesweep/store/table.h"

namespace moesweep {

/// Items [begin, end) of a run, by their places in its list of items.
struct ItemRange {
    std::int32_t begin = 0, end = 0;
    bool operator==(const ItemRange&) const = default;
};

/// A table of a unit as the store sees it.
struct TableView {
    std::string name;
    std::vector<ColumnView> columns;
};
struct TableTarget {
    std::string name;
    std::vector<ColumnTarget> columns;
};

template <class Unit>
std::vector<TableView> table_views(const Unit& unit) {
    std::vector<TableView> all;
    tables(unit, [&](const char* name, const auto& table) { all.push_back({name, views(table)}); });
    return all;
}

template <class Unit>
std::vector<TableTarget> table_targets(Unit& unit) {
    std::vector<TableTarget> all;
    tables(unit, [&](const char* name, auto& table) { all.push_back({name, targets(table)}); });
    return all;
}

/// Calls visit(name, table of a, the same table of b) for all tables of two units.
template <class Unit, class Visit>
void tables_of_both(Unit& a, const Unit& b, Visit&& visit) {
    std::vector<const void*> others;
    tables(b, [&](const char*, const auto& table) { others.push_back(&table); });
    auto other = others.begin();
    tables(a, [&]<class Table>(const char* name, Table& table) {
        visit(name, table, *static_cast<const Table*>(*other++));
    });
}

template <class Table>
std::int32_t item_of(const Table& table, std::size_t line) {
    return std::get<0>(key(table, line));
}

/// Appends all lines of `more`, table by table.
template <class Unit>
void append_tables(Unit& unit, const Unit& more) {
    tables_of_both(unit, more, [](const char*, auto& table, const auto& other) { append(table, other); });
}

/// Sorts all lines by their items. Those of one item keep their order.
template <class Unit>
void sort_by_item(Unit& unit) {
    tables(unit, [](const char*, auto& table) {
        std::vector<std::size_t> order(table.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, {}, [&](std::size_t line) { return item_of(table, line); });
        reorder(table, order);
    });
}

/// The lines of some of a unit's items.
template <class Unit>
Unit part_of(const Unit& unit, ItemRange items) {
    Unit part;
    part.items = items;
    tables_of_both(part, unit, [&](const char*, auto& table, const auto& whole) {
        std::vector<std::size_t> lines(whole.size());
        std::iota(lines.begin(), lines.end(), std::size_t{0});
        const auto place = [&](std::int32_t item) {
            const auto line =
                std::ranges::lower_bound(lines, item, {}, [&](std::size_t i) { return item_of(whole, i); });
            return static_cast<std::size_t>(line - lines.begin());
        };
        append(table, whole, place(items.begin), place(items.end));
    });
    return part;
}

/// Error(`code`) naming `file` unless the unit is as it must be: columns of one length in each table, lines sorted
/// without a repeat, all of them of its items.
template <class Unit>
void expect_sound(const Unit& unit, const std::string& file, Exit code) {
    const auto [begin, end] = unit.items;
    if (begin < 0 || end < begin)
        fail(code, "{}: {}_begin, {}_end: [{}, {}) is not a range", file, Unit::item, Unit::item, begin, end);
    tables(unit, [&](const char* name, const auto& table) {
        const std::size_t n = table.size();
        columns(table, [&](const ColumnInfo& info, const auto& column, int width) {
            if (column.size() != n * static_cast<std::size_t>(width))
                fail(code, "{}: {}/{}: {} values, expected {} x {}", file, info.group ? info.group : name, info.name,
                     column.size(), n, width);
        });
        for (std::size_t i = 0; i < n; ++i) {
            const std::int32_t item = item_of(table, i);
            if (item < begin || item >= end)
                fail(code, "{}: {}/{}: line {} is of {} {}, expected one in [{}, {})", file, name, Unit::item, i,
                     Unit::item, item, begin, end);
            if (i > 0 && key(table, i) <= key(table, i - 1))
                fail(code, "{}: {}: line {} is out of order", file, name, i);
        }
    });
}

}  // namespace moesweep
