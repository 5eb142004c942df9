#include <string_view>

#include "columns.h"
#include "identity.h"
#include "moesweep/base/files.h"
#include "moesweep/store/store.h"
#include "sealed_file.h"

namespace moesweep {
namespace {

std::string begin_of(const char* item) {
    return fmt::format("{}_begin", item);
}
std::string end_of(const char* item) {
    return fmt::format("{}_end", item);
}

}  // namespace

std::filesystem::path Store::unit_path(std::int64_t unit) const {
    return folder_ / "units" / series_ / fmt::format("{:06}.h5", unit);
}

bool Store::has_unit(std::int64_t unit) const {
    std::error_code unreachable;  // then it is not there for us either, and writing it will say why
    return std::filesystem::exists(unit_path(unit), unreachable);
}

std::vector<std::int64_t> Store::missing_units(std::int64_t count) const {
    std::vector<std::int64_t> missing;
    for (std::int64_t unit = 0; unit < count; ++unit)
        if (!has_unit(unit)) missing.push_back(unit);
    return missing;
}

void Store::write_unit_file(std::int64_t number, ItemRange items, const char* item,
                            const std::vector<TableView>& tables) const {
    const std::filesystem::path path = unit_path(number);
    hdf5::File file = hdf5::File::image(path.string());
    {
        const hdf5::Node root = file.root();
        write_attribute(root, "identity", std::string_view(run_identity(folder_)));
        write_attribute(root, "series", std::string_view(series_));
        write_attribute(root, "unit", number);
        write_attribute(root, begin_of(item), std::int64_t{items.begin});
        write_attribute(root, end_of(item), std::int64_t{items.end});
        for (const TableView& table : tables) hdf5::write_table(root, table.name, table.columns);
    }
    if (!series_.empty()) make_writable_folder(path.parent_path());  // open() made the one of the primary series
    write_sealed(path, file);
}

ItemRange Store::read_unit_file(std::int64_t number, const char* item, const std::vector<TableTarget>& tables,
                                Columns which) const {
    const hdf5::File file = open_sealed(unit_path(number));
    const hdf5::Node root = file.root();
    expect_of_run(root, folder_);
    if (const std::string found = read_text_attribute(root, "series"); found != series_)
        root.refuse("series: expected \"{}\", found \"{}\"", series_, found);
    if (const std::int64_t found = read_number_attribute(root, "unit"); found != number)
        root.refuse("unit: expected {}, found {}", number, found);
    for (const TableTarget& table : tables) hdf5::read_table(root, table.name, table.columns, which == Columns::all);
    return {static_cast<std::int32_t>(read_number_attribute(root, begin_of(item))),
            static_cast<std::int32_t>(read_number_attribute(root, end_of(item)))};
}

}  // namespace moesweep
