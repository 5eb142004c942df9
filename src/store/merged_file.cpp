#include "moesweep/store/merged_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "columns.h"
#include "moesweep/base/files.h"
#include "moesweep/base/kill_point.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;
using hdf5::Node;

/// A file is written, then read back and compared, by the same walk over its parts.
enum class Walk { write, check };

void expect_equal(bool equal, const Node& parent, const std::string& name) {
    if (!equal)
        fail(Exit::io, "{}: {}: reads back different from what was written", parent.source->name, parent.child(name));
}

/// The group at a path: made where it is not there yet, on the way, too.
Node group_at(const Node& root, const std::string& path, Walk walk) {
    Node group = open_group(root, ".");
    group.path = root.path;
    for (std::size_t begin = 0; begin < path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        group = walk == Walk::check || has(group, name) ? open_group(group, name) : create_group(group, name);
        begin = end + 1;
    }
    return group;
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == path.npos ? "" : path.substr(0, slash);
}

/// The group in which a column of a table stands; "" means the root of the file alone.
std::string group_of(const ColumnInfo& column, const std::string& table) {
    if (!column.group) return table;
    const std::string parent = parent_of(table);
    return parent.empty() ? column.group : fmt::format("{}/{}", parent, column.group);
}

void walk_attribute(const Node& node, const MergedFile::Attribute& attribute, Walk walk) {
    const std::string& name = attribute.name;
    if (const auto* text = std::get_if<std::string>(&attribute.value)) {
        if (walk == Walk::write)
            write_attribute(node, name, std::string_view(*text));
        else
            expect_equal(read_text_attribute(node, name) == *text, node, name);
    } else if (const auto* number = std::get_if<std::int64_t>(&attribute.value)) {
        if (walk == Walk::write)
            write_attribute(node, name, *number);
        else
            expect_equal(read_number_attribute(node, name) == *number, node, name);
    } else {
        const double real = std::get<double>(attribute.value);
        if (walk == Walk::write)
            write_attribute(node, name, real);
        else
            expect_equal(read_real_attribute(node, name) == real, node, name);
    }
}

/// A dataset that is made, or checked, piece by piece.
class Dataset {
  public:
    Dataset(const Node& group, const ColumnView& column, hsize_t rows, std::size_t text_width, Walk walk)
        : text_width_(text_width),
          walk_(walk),
          dataset_(walk == Walk::write ? create_dataset(group, column, rows, text_width)
                                       : open_dataset(group, column, rows, text_width)) {}

    void add(const ColumnView& column) {
        if (walk_ == Walk::write)
            write_lines(dataset_, first_, column, text_width_);
        else
            expect_equal(has_lines(dataset_, first_, column, text_width_), dataset_,
                         fmt::format("from line {} on", first_));
        first_ += hdf5::shape_of(column).rows;
    }

  private:
    std::size_t text_width_;
    Walk walk_;
    Node dataset_;
    hsize_t first_ = 0;
};

void walk_column(const Node& group, const ColumnView& column, Walk walk) {
    Dataset(group, column, hdf5::shape_of(column).rows, hdf5::text_width(column), walk).add(column);
}

/// Removes the temporary file on every way out; once it has its final name there is nothing to remove.
class Temporary {
  public:
    explicit Temporary(fs::path path) : path_(std::move(path)) {}
    ~Temporary() { ::unlink(path_.c_str()); }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

}  // namespace

/// Tables of the units of a series, each in its group. The units are gone through once to measure the columns, then
/// once in each walk.
class JoinedTables {
  public:
    using UseUnit = MergedFile::UseUnit;
    JoinedTables(std::vector<TableView> shape, std::int64_t items, const MergedFile::GroupOf& group_of,
                 std::function<void(const UseUnit&)> units)
        : shape_(std::move(shape)), items_(items), units_(std::move(units)) {
        for (const TableView& table : shape_) groups_.push_back(group_of(table.name));
    }

    /// Comes first.
    void measure() {
        for (const TableView& table : shape_) {
            auto& columns = extents_.emplace_back();
            for (const ColumnView& column : table.columns)
                columns.push_back({0, column.width, hdf5::text_width(column)});
        }
        units_([&](const MergedFile::Unit& unit) {
            if (unit.items_end > items_)
                fail(Exit::data, "{}: {}_end: {}, but there are {}", unit.file, unit.item, unit.items_end, items_);
            for (std::size_t t = 0; t < shape_.size(); ++t)
                for (std::size_t c = 0; c < extents_[t].size(); ++c)
                    extend(extents_[t][c], unit.tables[t].columns[c], unit.file, groups_[t]);
        });
        for (std::size_t t = 0; t < shape_.size(); ++t) expect_equal_lines(t);
    }

    void walk(const hdf5::File& file, Walk walk) const {
        const Node root = file.root();
        std::vector<std::vector<std::optional<Dataset>>> datasets(shape_.size());
        for (std::size_t t = 0; t < shape_.size(); ++t) {
            if (groups_[t].empty()) continue;
            group_at(root, groups_[t], walk);
            for (std::size_t c = 0; c < shape_[t].columns.size(); ++c) {
                const auto& [rows, width, text_width] = extents_[t][c];
                ColumnView column = shape_[t].columns[c];
                column.width = width;
                auto& dataset = datasets[t].emplace_back();
                if (!column.info.group || width > 0)
                    dataset.emplace(group_at(root, group_of(column.info, groups_[t]), walk), column, rows, text_width,
                                    walk);
            }
        }
        units_([&](const MergedFile::Unit& unit) {
            for (std::size_t t = 0; t < shape_.size(); ++t)
                for (std::size_t c = 0; c < datasets[t].size(); ++c)
                    if (datasets[t][c]) datasets[t][c]->add(unit.tables[t].columns[c]);
            if (walk == Walk::write) file.expect_written();
        });
    }

  private:
    /// Of a column over all units.
    struct Extent {
        hsize_t rows = 0;
        int width = 0;
        std::size_t text_width = 0;
    };

    static void extend(Extent& extent, const ColumnView& column, const std::string& file, const std::string& table) {
        if (extent.rows == 0 && column.count > 0) extent.width = column.width;
        const bool differs = column.width != extent.width && (column.count > 0 || column.info.group);
        if (differs && extent.rows + column.count > 0)
            fail(Exit::data, "{}: {}/{}: {} values a line, the units before it have {}", file,
                 column.info.group ? column.info.group : table, column.info.name, column.width, extent.width);
        extent.rows += hdf5::shape_of(column).rows;
        extent.text_width = std::max(extent.text_width, hdf5::text_width(column));
    }

    /// A column that some units lack has fewer lines than its table.
    void expect_equal_lines(std::size_t t) const {
        const auto& extents = extents_[t];
        for (std::size_t c = 0; c < extents.size(); ++c)
            if (extents[c].width > 0 && extents[c].rows != extents[0].rows)
                fail(Exit::data, "{}/{}: {} lines in all units, expected {}", groups_[t],
                     shape_[t].columns[c].info.name, extents[c].rows, extents[0].rows);
    }

    std::vector<TableView> shape_;
    std::vector<std::string> groups_;
    std::vector<std::vector<Extent>> extents_;  // of each table's columns
    std::int64_t items_;
    std::function<void(const UseUnit&)> units_;
};

std::size_t MergedFile::bytes_of(const std::vector<TableView>& tables) {
    std::size_t bytes = 0;
    for (const TableView& table : tables)
        for (const ColumnView& column : table.columns) bytes += column.count * element_bytes(column.element);
    return bytes;
}

void MergedFile::group(const std::string& path, const std::vector<Attribute>& attributes) {
    parts_.push_back({path, attributes, {}});
}

void MergedFile::group(const std::string& path, const Attributes& texts) {
    std::vector<Attribute> attributes;
    for (const auto& [name, text] : texts) attributes.push_back({name, text});
    group(path, attributes);
}

void MergedFile::result(const ResultTable& table) {
    const std::string path = fmt::format("results/{}", table.name);
    std::optional<std::size_t> lines;
    for (const ColumnView& column : views(table)) {
        const auto width = static_cast<std::size_t>(std::max(column.width, 1));
        if (column.width < 1 || column.count % width != 0 ||
            lines.value_or(column.count / width) != column.count / width)
            fail(Exit::internal, "{}/{}: {} values, expected {} x {}", path, column.info.name, column.count,
                 lines.value_or(column.count / width), column.width);
        lines = column.count / width;
    }
    Attributes attributes = {{"meaning", table.meaning}};
    attributes.insert(attributes.end(), table.attributes.begin(), table.attributes.end());
    group(path, attributes);
    parts_.back().columns = views(table);
}

void MergedFile::add_units(std::vector<TableView> shape, std::int64_t items, const GroupOf& group_of,
                           const std::function<void(const UseUnit&)>& walk) {
    parts_.push_back({"", {}, {}, std::make_shared<JoinedTables>(std::move(shape), items, group_of, walk)});
}

void MergedFile::write(const fs::path& path) const {
    const std::string name = path.string();
    for (const Part& part : parts_)
        if (part.joined) part.joined->measure();
    const auto walk_parts = [&](const hdf5::File& file, Walk walk) {
        for (const Part& part : parts_) {
            if (part.joined) {
                part.joined->walk(file, walk);
                continue;
            }
            const Node group = group_at(file.root(), part.path, walk);
            for (const Attribute& attribute : part.attributes) walk_attribute(group, attribute, walk);
            for (const ColumnView& column : part.columns) walk_column(group, column, walk);
        }
    };
    kill_point(CommitStep::begun, path);
    const Temporary temporary(temporary_beside(path));
    hdf5::File written = hdf5::File::create(temporary.path(), name);
    walk_parts(written, Walk::write);
    kill_point(CommitStep::opened, path);
    written.close();
    kill_point(CommitStep::written, path);
    walk_parts(hdf5::File::open(temporary.path(), name, Exit::io), Walk::check);
    commit_file(temporary.path(), path);
}

}  // namespace moesweep
