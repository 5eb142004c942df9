// Tables: structs of plain vectors of equal length, a column each; no HDF5, no torch. A table lists its columns once,
//
//     template <class T, class Visit> requires std::is_same_v<std::remove_const_t<T>, MyTable>
//     void columns(T& table, Visit&& visit) { visit(ColumnInfo{...}, table.values, 1); ... }
//
// and writing, reading, joining, sorting and comparing all walk that list. A column of n x width elements is an (n,
// width) dataset where its info says matrix, or one of n elements; where tables differ in width, it is a member of the
// table.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace moesweep {

/// A column's face towards readers.
struct ColumnInfo {
    const char* name;
    const char* unit;  ///< "" where the number has none
    const char* meaning;
    const char* const* enum_names = nullptr;  ///< for enum columns
    int enum_size = 0;
    bool matrix = false;  ///< an (n, width) dataset whatever the width
    /// The group beside the table's own in which the column stands; there is no such dataset where its width is 0.
    const char* group = nullptr;
};

/// What columns are made of. Enumerations are int8 with names.
enum class Element { int8, int32, int64, float32, float64, text };

template <class T>
constexpr Element element_of() {
    if constexpr (std::is_enum_v<T>) {
        static_assert(sizeof(T) == 1);
        return Element::int8;
    } else if constexpr (std::is_same_v<T, std::int8_t>) {
        return Element::int8;
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
        return Element::int32;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        return Element::int64;
    } else if constexpr (std::is_same_v<T, float>) {
        return Element::float32;
    } else if constexpr (std::is_same_v<T, double>) {
        return Element::float64;
    } else {
        static_assert(std::is_same_v<T, std::string>);
        return Element::text;
    }
}

/// In memory; of a text, the least.
constexpr std::size_t element_bytes(Element element) {
    switch (element) {
        case Element::int8:
            return 1;
        case Element::int32:
        case Element::float32:
            return 4;
        case Element::int64:
        case Element::float64:
            return 8;
        case Element::text:
            return sizeof(std::string);
    }
    return 0;
}

/// A column's values as the store sees them.
struct ColumnView {
    ColumnInfo info;
    Element element;
    const void* values;  ///< `count` elements; of texts, std::string
    std::size_t count;
    int width;
};

/// A column to be filled.
struct ColumnTarget {
    ColumnInfo info;
    Element element;
    /// The width that the column must have; 0 in a table that takes the file's, as its first column of that width does.
    std::function<int()> width;
    std::function<void*(std::size_t count, int width)> resize;  ///< room for so many elements
};

template <class Table>
std::vector<ColumnView> views(const Table& table) {
    std::vector<ColumnView> all;
    columns(table, [&]<class T>(const ColumnInfo& info, const std::vector<T>& column, int width) {
        all.push_back({info, element_of<T>(), column.data(), column.size(), width});
    });
    return all;
}

/// Calls visit(info, column, width) where `width` may be set if it is the table's own.
template <class Table>
std::vector<ColumnTarget> targets(Table& table) {
    std::vector<ColumnTarget> all;
    columns(table, [&]<class T>(const ColumnInfo& info, std::vector<T>& column, auto&& width) {
        if constexpr (std::is_lvalue_reference_v<decltype(width)>) {
            all.push_back({info, element_of<T>(), [&width] { return static_cast<int>(width); },
                           [&width, &column](std::size_t count, int found) -> void* {
                               width = found;
                               column.resize(count);
                               return column.data();
                           }});
        } else {
            all.push_back({info, element_of<T>(), [fixed = width] { return fixed; },
                           [&column](std::size_t count, int) -> void* {
                               column.resize(count);
                               return column.data();
                           }});
        }
    });
    return all;
}

/// Appends the lines [first, end) of `more` to `table`, whose widths are those of `more` where it has no line yet.
template <class Table>
void append(Table& table, const Table& more, std::size_t first, std::size_t end) {
    struct Source {
        const void* column;
        int width;
    };
    // The columns of `more`, in the order and of the types in which the next walk meets them.
    std::vector<Source> sources;
    columns(more, [&](const ColumnInfo&, const auto& column, int width) { sources.push_back({&column, width}); });
    auto source = sources.begin();
    const bool is_empty = table.size() == 0;
    columns(table, [&]<class T>(const ColumnInfo&, std::vector<T>& column, auto&& width) {
        if constexpr (std::is_lvalue_reference_v<decltype(width)>)
            if (is_empty) width = source->width;
        const auto lines = static_cast<const std::vector<T>*>(source->column)->begin();
        column.insert(column.end(), lines + static_cast<std::ptrdiff_t>(first) * source->width,
                      lines + static_cast<std::ptrdiff_t>(end) * source->width);
        ++source;
    });
}
template <class Table>
void append(Table& table, const Table& more) {
    append(table, more, 0, more.size());
}

/// The lines of a table in another order: line i becomes what was line order[i].
template <class Table>
void reorder(Table& table, const std::vector<std::size_t>& order) {
    columns(table, [&]<class T>(const ColumnInfo&, std::vector<T>& column, int width) {
        const std::vector<T> old = std::move(column);
        column.clear();
        column.reserve(old.size());
        for (const std::size_t line : order)
            column.insert(column.end(), old.begin() + static_cast<std::ptrdiff_t>(line) * width,
                          old.begin() + static_cast<std::ptrdiff_t>(line + 1) * width);
    });
}

}  // namespace moesweep
