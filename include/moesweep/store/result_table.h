// Tables that a method computes from a finished run, in the form that the store writes and readers get: a group of
// /results a table, a dataset a column. The store knows nothing of what they mean.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "moesweep/store/table.h"

namespace moesweep {

/// Named texts: attributes of a group.
using Attributes = std::vector<std::pair<std::string, std::string>>;

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

/// A column's values from the lines of a table: a member of each, or what a function makes of it.
template <class Line, class Get>
auto values_of(const std::vector<Line>& lines, Get get) {
    std::vector<std::decay_t<std::invoke_result_t<Get, const Line&>>> values;
    for (const auto& line : lines) values.push_back(std::invoke(get, line));
    return values;
}

template <class Visit>
void columns(const ResultTable& table, Visit&& visit) {
    for (const ResultColumn& column : table.columns) {
        const ColumnInfo info{.name = column.name.c_str(),
                              .unit = column.unit.c_str(),
                              .meaning = column.meaning.c_str(),
                              .matrix = column.width > 1};
        std::visit([&](const auto& values) { visit(info, values, column.width); }, column.values);
    }
}

}  // namespace moesweep
