// sweep.h5. One walk over the file's contents serves two hands: one that writes, and one that reads back and compares.
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <variant>

#include "case_columns.h"
#include "columns.h"
#include "moesweep/base/files.h"
#include "moesweep/base/kill_point.h"
#include "moesweep/store/store.h"
#include "unit_file.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;
using hdf5::Node;
using hdf5::Shape;

template <class Visit>
void columns(const ResultTable& table, Visit&& visit) {
    for (const ResultColumn& column : table.columns) {
        const ColumnInfo info{column.name.c_str(), column.unit.c_str(), column.meaning.c_str()};
        std::visit([&](const auto& values) { visit(info, values, column.width); }, column.values);
    }
}

struct Writer {
    static Node group(const Node& parent, const std::string& name) { return create_group(parent, name); }
    static void attribute(const Node& node, const std::string& name, const std::string& text) {
        write_attribute(node, name, std::string_view(text));
    }
    static void attribute(const Node& node, const std::string& name, std::int64_t number) {
        write_attribute(node, name, number);
    }
    static void attribute(const Node& node, const std::string& name, double real) { write_attribute(node, name, real); }
    template <class T>
    static void column(const Node& parent, const ColumnInfo& info, const std::vector<T>& values, int width) {
        write_column(parent, info, values, width);
    }
    static Node dataset(const Node& parent, const ColumnInfo& info, hid_t type, Shape shape) {
        return create_dataset(parent, info, type, shape);
    }
    static void lines(const Node& dataset, hid_t type, hsize_t first, Shape shape, const std::vector<float>& values) {
        write_lines(dataset, type, first, shape, values.data());
    }
};

/// Bytes are compared, so that NaN equals itself and -0 is not 0.
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
    if constexpr (std::is_same_v<T, std::string>)
        return a == b;
    else
        return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

struct Checker {
    static void expect(bool equal, const Node& parent, const std::string& name) {
        if (!equal)
            fail(Exit::io, "{}: {}: reads back different from what was written", parent.source->name,
                 parent.child(name));
    }
    static Node group(const Node& parent, const std::string& name) { return open_group(parent, name); }
    static void attribute(const Node& node, const std::string& name, const std::string& text) {
        expect(read_text_attribute(node, name) == text, node, name);
    }
    static void attribute(const Node& node, const std::string& name, std::int64_t number) {
        expect(read_number_attribute(node, name) == number, node, name);
    }
    static void attribute(const Node& node, const std::string& name, double real) {
        expect(read_real_attribute(node, name) == real, node, name);
    }
    template <class T>
    static void column(const Node& parent, const ColumnInfo& info, const std::vector<T>& values, int width) {
        std::vector<T> found;
        read_column(parent, info, found, width);
        expect(same(found, values), parent, info.name);
    }
    static Node dataset(const Node& parent, const ColumnInfo& info, hid_t type, Shape shape) {
        Node found = open_dataset(parent, info.name, type);
        const Shape actual = shape_of(found);
        expect(actual.matrix && actual.rows == shape.rows && actual.width == shape.width, parent, info.name);
        return found;
    }
    static void lines(const Node& dataset, hid_t type, hsize_t first, Shape shape, const std::vector<float>& values) {
        std::vector<float> found(values.size());
        read_lines(dataset, type, first, shape, found.data());
        expect(same(found, values), dataset, fmt::format("lines {} to {}", first, first + shape.rows));
    }
};

/// What goes into the file. Everything but the vectors is in memory.
struct Content {
    const Store& store;  // the primary series: its units have the vectors
    std::int64_t units;
    CaseColumns cases;
    const RunTables& run;
    const std::vector<ResultTable>& results;
    const Attributes& meta;
    const Attributes& provenance;
};

template <class Hand>
void walk_attributes(Hand hand, const Node& node, const Attributes& attributes) {
    for (const auto& [name, text] : attributes) hand.attribute(node, name, text);
}

template <class Hand, class Table>
void walk_table(Hand hand, const Node& group, const Table& table) {
    columns(table,
            [&](const ColumnInfo& info, const auto& values, int width) { hand.column(group, info, values, width); });
}

template <class Hand>
void walk_tables(Hand hand, const Node& parent, const UnitTables& tables) {
    walk_table(hand, hand.group(parent, "base"), tables.base);
    walk_table(hand, hand.group(parent, "routing"), tables.routing);
    walk_table(hand, hand.group(parent, "rows"), tables.rows);
}

std::string condition_name(std::size_t n) {
    return fmt::format("{:02}", n);
}

std::vector<VectorTable> unit_vectors(const Store& store, std::int64_t unit) {
    const hdf5::File file = open_unit(store, unit);
    return read_vectors(file.root());
}

/// /vectors, a unit at a time: together they may be larger than memory.
template <class Hand>
void walk_vectors(Hand hand, const hdf5::File& file, const Node& root, const Content& content) {
    std::vector<VectorTable> vectors;
    if (content.units > 0) vectors = unit_vectors(content.store, 0);
    if (vectors.empty()) return;
    const Node group = hand.group(root, "vectors");
    const ColumnInfo info = vector_info(vectors[0]);
    const std::string name = vectors[0].name;
    const Shape all{aligned_lines(vectors[0], content.run.sweep), static_cast<hsize_t>(vectors[0].width), true};
    const hdf5::Id type = hdf5::type_of<float>(info);
    const Node dataset = hand.dataset(group, info, type, all);
    hsize_t first = 0;
    for (std::int64_t unit = 0; unit < content.units; ++unit) {
        if (unit > 0) vectors = unit_vectors(content.store, unit);
        const std::string unit_name = content.store.unit_path(unit).string();
        if (vectors.size() != 1 || vectors[0].name != name || static_cast<hsize_t>(vectors[0].width) != all.width)
            fail(Exit::data, "{}: vectors: expected {} of width {}, as in unit 0", unit_name, name, all.width);
        const Shape lines{vectors[0].values.size() / all.width, all.width, true};
        if (first + lines.rows > all.rows)
            fail(Exit::data, "{}: vectors/{}: more lines than expected", unit_name, name);
        hand.lines(dataset, type, first, lines, vectors[0].values);
        file.expect_written();
        first += lines.rows;
    }
    if (first != all.rows)
        fail(Exit::data, "{}: vectors/{}: {} lines in all units, expected {}", root.source->name, name, first,
             all.rows);
}

/// The order of objects in the file; /provenance is last, so that what differs from run to run comes after the rest.
template <class Hand>
void walk(Hand hand, const hdf5::File& file, const Content& content) {
    const Node root = file.root();
    walk_attributes(hand, hand.group(root, "meta"), content.meta);
    walk_table(hand, hand.group(root, "cases"), content.cases);
    walk_tables(hand, root, content.run.sweep);
    walk_table(hand, hand.group(root, "controls"), content.run.controls);
    const Node conditions = hand.group(root, "conditions");
    for (std::size_t n = 0; n < content.run.conditions.size(); ++n) {
        const Condition& condition = content.run.conditions[n];
        const Node group = hand.group(conditions, condition_name(n));
        hand.attribute(group, "scale", condition.scale);
        hand.attribute(group, "draw", std::int64_t{condition.draw});
        walk_tables(hand, group, condition.tables);
    }
    const Node results = hand.group(root, "results");
    for (const ResultTable& table : content.results) {
        const Node group = hand.group(results, table.name);
        hand.attribute(group, "meaning", table.meaning);
        walk_attributes(hand, group, table.attributes);
        walk_table(hand, group, table);
    }
    walk_vectors(hand, file, root, content);
    walk_attributes(hand, hand.group(root, "provenance"), content.provenance);
}

/// Every table is sound, and of cases that the run has.
void expect_sound_run(const RunTables& run, const std::string& file, Exit code) {
    const auto n_cases = static_cast<std::int32_t>(run.cases.size());
    const auto expect = [&](const UnitTables& tables, const std::string& parent) {
        expect_sound(tables, {file, code, parent});
        if (tables.case_end > n_cases)
            fail(Exit::data, "{}: {}case_end: {}, but there are {} cases", file, parent, tables.case_end, n_cases);
    };
    expect(run.sweep, "");
    for (std::size_t n = 0; n < run.conditions.size(); ++n)
        expect(run.conditions[n].tables, fmt::format("conditions/{}/", condition_name(n)));
    expect_sound_rows(run.controls, "controls", 0, n_cases, {file, code});
}

/// The columns of a result table have the same number of lines.
void expect_rectangular(const ResultTable& table, const std::string& file) {
    std::optional<std::size_t> lines;
    columns(table, [&](const ColumnInfo& info, const auto& values, int width) {
        const std::size_t n = width > 0 ? values.size() / static_cast<std::size_t>(width) : 0;
        if (width < 1 || values.size() % static_cast<std::size_t>(width) != 0 || lines.value_or(n) != n)
            fail(Exit::internal, "{}: results/{}/{}: {} values, expected {} x {}", file, table.name, info.name,
                 values.size(), lines.value_or(n), width);
        lines = n;
    });
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

std::filesystem::path Store::sweep_path() const {
    return folder_ / "sweep.h5";
}

void Store::write_sweep(std::int64_t units, const RunTables& run, const std::vector<ResultTable>& results,
                        const Attributes& meta, const Attributes& provenance) const {
    const std::string name = sweep_path().string();
    expect_sound_run(run, name, Exit::internal);
    for (const ResultTable& table : results) expect_rectangular(table, name);

    const Store primary(folder_);
    const Content content{primary, units, to_columns(run.cases), run, results, meta, provenance};
    kill_point(CommitStep::begun, sweep_path());
    const Temporary temporary(temporary_beside(sweep_path()));
    hdf5::File written = hdf5::File::create(temporary.path(), name);
    walk(Writer{}, written, content);
    kill_point(CommitStep::opened, sweep_path());
    written.close();
    kill_point(CommitStep::written, sweep_path());
    walk(Checker{}, hdf5::File::open(temporary.path(), name, Exit::io), content);
    commit_file(temporary.path(), sweep_path());
}

RunTables read_sweep(const std::filesystem::path& path) {
    const hdf5::File file = hdf5::File::open(path, path.string());
    const Node root = file.root();
    RunTables run;
    run.cases = read_case_table(open_group(root, "cases"));
    const auto n_cases = static_cast<std::int32_t>(run.cases.size());
    run.sweep = read_tables(root, 0, n_cases);
    read_table(open_group(root, "controls"), run.controls);
    const Node conditions = open_group(root, "conditions");
    const std::size_t n_conditions = names(conditions).size();
    for (std::size_t n = 0; n < n_conditions; ++n) {
        const Node group = open_group(conditions, condition_name(n));
        run.conditions.push_back({read_real_attribute(group, "scale"),
                                  static_cast<std::int32_t>(read_number_attribute(group, "draw")),
                                  read_tables(group, 0, n_cases)});
    }
    expect_sound_run(run, path.string(), Exit::data);
    return run;
}

}  // namespace moesweep
