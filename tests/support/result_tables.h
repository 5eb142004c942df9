// Reads tables of /results in tests.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "moesweep/store/result_table.h"

namespace moesweep {

inline const ResultTable& table_named(const std::vector<ResultTable>& tables, const std::string& name) {
    const auto found = std::ranges::find(tables, name, &ResultTable::name);
    if (found == tables.end()) FAIL("there is no table " << name);
    return *found;
}

/// A column of `double` unless another type is named.
template <class T = double>
const std::vector<T>& column(const ResultTable& table, const std::string& name) {
    const auto found = std::ranges::find(table.columns, name, &ResultColumn::name);
    if (found == table.columns.end()) FAIL(table.name << " has no column " << name);
    return std::get<std::vector<T>>(found->values);
}

/// "" where the table has no such attribute.
inline std::string attribute(const ResultTable& table, const std::string& name) {
    for (const auto& [key, value] : table.attributes) {
        if (key == name) return value;
    }
    return "";
}

inline void check_values(const std::vector<double>& values, const std::vector<double>& expected) {
    REQUIRE(values.size() == expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i] == Approx(expected[i]).margin(1e-12));
}

}  // namespace moesweep
