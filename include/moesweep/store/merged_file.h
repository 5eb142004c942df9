// The file that people read: attributes, tables that are in memory, and tables joined from the units of a series, which
// are read one at a time, so that a file of any size takes little memory. Parts are added in the order in which they
// shall stand, then written. The bytes of each depend on nothing but its contents.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "moesweep/store/store.h"

namespace moesweep {

class MergedFile {
  public:
    using Value = std::variant<std::string, std::int64_t, double>;
    struct Attribute {
        std::string name;
        Value value;
    };

    /// An empty group with attributes; "a/b" is group b in group a.
    void group(const std::string& path, const std::vector<Attribute>& attributes = {});
    void group(const std::string& path, const Attributes& texts);
    /// A group with a column a dataset. The table must stay until write() is done.
    template <class Table>
    void table(const std::string& path, const Table& table) {
        parts_.push_back({path, {}, views(table)});
    }
    /// A table of /results. It must stay, too.
    void result(const ResultTable& table);

    /// Where the tables of units stand: group_of(name) is the group of the table of that name, "" if it is left out.
    using GroupOf = std::function<std::string(const std::string& name)>;
    /// The units 0 .. count-1 of a series.
    struct Series {
        Store store;
        std::int64_t count = 0;
    };
    /// The tables of the units of some series, joined in this order. Error(data) from write() for items beyond `items`.
    template <class Unit>
    void units(const std::vector<Series>& all, std::int64_t items, const GroupOf& group_of) {
        const auto kept = std::make_shared<std::vector<Unit>>();  // all of them, where they are small
        const auto walk = [all, kept](const UseUnit& use) {
            std::vector<std::string> files;
            for (const auto& [store, count] : all)
                for (std::int64_t number = 0; number < count; ++number)
                    files.push_back(store.unit_path(number).string());
            auto file = files.begin();
            const auto use_next = [&](const Unit& unit) {
                use({*file++, Unit::item, unit.items.end, table_views(unit)});
            };
            if (kept->size() == files.size()) return std::ranges::for_each(*kept, use_next), void();
            kept->clear();
            std::size_t bytes = 0;
            for (const auto& [store, count] : all)
                store.template for_each_unit<Unit>(count, Columns::all, [&](const Unit& unit) {
                    use_next(unit);
                    bytes += bytes_of(table_views(unit));
                    if (bytes <= most_kept_bytes)
                        kept->push_back(unit);
                    else
                        kept->clear();
                });
        };
        add_units(table_views(Unit{}), items, group_of, walk);
    }
    template <class Unit>
    void units(const Store& store, std::int64_t count, std::int64_t items, const GroupOf& group_of) {
        units<Unit>(std::vector<Series>{{store, count}}, items, group_of);
    }

    /// Writes the file under a temporary name, reopens it, reads it back whole and compares before it is renamed to
    /// `path`. Error(io); Error(data) for units that do not fit together; Error(internal) for a result table of unequal
    /// columns.
    void write(const std::filesystem::path& path) const;

  private:
    static constexpr std::size_t most_kept_bytes = std::size_t{16} << 20;
    static std::size_t bytes_of(const std::vector<TableView>& tables);

    struct Unit {
        std::string file;
        const char* item;
        std::int32_t items_end;
        std::vector<TableView> tables;
    };
    using UseUnit = std::function<void(const Unit&)>;

    /// A group: its attributes and its columns.
    struct Part {
        std::string path;
        std::vector<Attribute> attributes;
        std::vector<ColumnView> columns;
        std::shared_ptr<class JoinedTables> joined = {};  ///< or these, in groups of their own
    };
    void add_units(std::vector<TableView> shape, std::int64_t items, const GroupOf& group_of,
                   const std::function<void(const UseUnit&)>& walk);

    friend class JoinedTables;
    std::vector<Part> parts_;
};

}  // namespace moesweep
