#include "moesweep/store/store.h"

#include <string>

#include "columns.h"
#include "identity.h"
#include "moesweep/base/files.h"
#include "sealed_file.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code error;
    const bool found = fs::exists(path, error);
    if (error) fail(Exit::io, "{}: cannot be examined: {}", path.string(), error.message());
    return found;
}

/// What is in a folder. What cannot be listed has nothing to be found in it.
std::vector<fs::path> entries_of(const fs::path& folder) {
    std::vector<fs::path> entries;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        entries.push_back(entry->path());
    return entries;
}

/// Removes the temporary files of attempts that were killed while they wrote. One that is gone meanwhile is no
/// matter; and an attempt that is still dying loses its file, and cannot commit it.
void remove_leftovers(const fs::path& folder) {
    std::error_code ignored;
    for (const fs::path& path : entries_of(folder)) {
        const std::string name = path.filename().string();
        if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(path, ignored);
    }
}

}  // namespace

const char* hdf5_version() {
    static const std::string version = [] {
        unsigned major = 0, minor = 0, release = 0;
        H5get_libversion(&major, &minor, &release);
        return fmt::format("{}.{}.{}", major, minor, release);
    }();
    return version.c_str();
}

Store Store::series(const std::string& name) const {
    if (name.empty() || name.starts_with('.') || name.ends_with(".h5") || name.find('/') != std::string::npos)
        fail(Exit::internal, "{}: \"{}\" cannot name a series of units", folder_.string(), name);
    Store other(folder_);
    other.series_ = name;
    return other;
}

void Store::open(const std::string& config_ini, const Identity& identity) const {
    const fs::path identity_path = folder_ / "identity.ini", config_path = folder_ / "config.ini";
    const bool is_new = !is_there(identity_path);
    if (!is_new) expect_same_run(folder_, read_file(identity_path), identity);

    make_writable_folder(folder_);
    make_writable_folder(folder_ / "units");
    remove_leftovers(folder_);
    remove_leftovers(folder_ / "units");
    for (const fs::path& series : entries_of(folder_ / "units")) remove_leftovers(series);
    if (is_new) write_file_atomically(identity_path, identity_text(identity));
    if (!is_there(config_path) || read_file(config_path) != config_ini) write_file_atomically(config_path, config_ini);
}

std::optional<std::string> Store::said(const std::string& key) const {
    if (!is_there(folder_ / "identity.ini")) return std::nullopt;
    return said_in(run_identity(folder_), key);
}

std::optional<Attributes> Store::read_items(const std::string& name, const std::vector<ColumnTarget>& columns) const {
    const fs::path path = folder_ / (name + ".h5");
    if (!is_there(path)) return std::nullopt;
    const hdf5::File file = open_sealed(path);
    const hdf5::Node root = file.root();
    expect_of_run(root, folder_);
    hdf5::read_table(root, name, columns);
    return read_attributes(open_group(root, "meta"));
}

void Store::write_items(const std::string& name, const Attributes& meta, const std::vector<ColumnView>& columns) const {
    const fs::path path = folder_ / (name + ".h5");
    hdf5::File file = hdf5::File::image(path.string());
    {
        const hdf5::Node root = file.root();
        write_attribute(root, "identity", std::string_view(run_identity(folder_)));
        const hdf5::Node group = create_group(root, "meta");
        for (const auto& [key, text] : meta) write_attribute(group, key, std::string_view(text));
        hdf5::write_table(root, name, columns);
    }
    write_sealed(path, file);
}

}  // namespace moesweep
