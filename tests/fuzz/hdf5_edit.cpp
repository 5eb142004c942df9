#include "hdf5_edit.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

// The library leaks a little when it fails on a broken file.
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libhdf5";
}

namespace moesweep::fuzz {
namespace {

/// Reads the script from its front; zeros after its end.
class Script {
  public:
    explicit Script(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
    bool ended() const { return rest_.empty(); }
    std::size_t below(std::size_t n) { return n == 0 ? 0 : byte() % n; }
    std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const std::uint8_t first = rest_.front();
        rest_ = rest_.subspan(1);
        return first;
    }
    /// Usually small, at most `most`.
    hsize_t extent(hsize_t most) {
        const std::uint8_t first = byte();
        return first < 192 ? first % 16 : std::min(hsize_t{1} << (first - 192), most);
    }

  private:
    std::span<const std::uint8_t> rest_;
};

/// The paths of all objects below the root, in the order of their names.
std::vector<std::string> objects(hid_t file) {
    std::vector<std::string> paths;
    const auto visit = [](hid_t, const char* name, const H5O_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
    };
    H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &paths, H5O_INFO_BASIC);
    return paths;
}

// Objects with values are small, because HDF5 makes them in memory. A dataset without stored values may have any
// extent.
constexpr hsize_t largest_attribute = 64, largest_extent = hsize_t{1} << 62, largest_text = hsize_t{1} << 31;

/// A type that we use, or another. To be closed.
hid_t some_type(Script& script, hsize_t longest_text) {
    const hid_t kinds[] = {H5T_STD_I8LE,  H5T_STD_I32LE,   H5T_STD_I64LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I32BE,
                           H5T_STD_U32LE, H5T_STD_REF_OBJ, H5T_C_S1,      H5T_C_S1,       H5T_STD_I8LE,   H5T_STD_I8LE};
    const std::size_t kind = script.below(std::size(kinds));
    if (kind == 10) {
        const hid_t type = H5Tenum_create(H5T_STD_I8LE);
        const std::int8_t value = 0;
        H5Tenum_insert(type, "clean", &value);
        return type;
    }
    if (kind == 11) return H5Tvlen_create(H5T_STD_I8LE);
    const hid_t type = H5Tcopy(kinds[kind]);
    if (kind == 8) H5Tset_size(type, H5T_VARIABLE);
    if (kind == 9) {
        H5Tset_size(type, std::max<hsize_t>(script.extent(longest_text), 1));
        H5Tset_cset(type, static_cast<H5T_cset_t>(script.below(2)));
        H5Tset_strpad(type, static_cast<H5T_str_t>(script.below(3)));
    }
    return type;
}

/// Scalar, null, or of up to three extents. To be closed.
hid_t some_space(Script& script, hsize_t largest) {
    const std::size_t rank = script.below(5);
    if (rank == 0) return H5Screate(H5S_SCALAR);
    if (rank == 4) return H5Screate(H5S_NULL);
    std::array<hsize_t, 3> extents{};
    for (std::size_t i = 0; i < rank; i++) extents[i] = script.extent(largest);
    return H5Screate_simple(static_cast<int>(rank), extents.data(), nullptr);
}

/// Changes bytes of a dataset's values, unless they are pointers in memory.
void change_values(hid_t file, const std::string& path, Script& script) {
    const hid_t dataset = H5Dopen2(file, path.c_str(), H5P_DEFAULT);
    if (dataset < 0) return;
    const hid_t type = H5Dget_type(dataset);
    constexpr hsize_t most_bytes = 1 << 16;
    const bool by_pointer = H5Tget_class(type) == H5T_VLEN || H5Tis_variable_str(type) > 0;
    std::vector<std::uint8_t> values(by_pointer ? 0 : std::min(H5Dget_storage_size(dataset), most_bytes));
    if (!values.empty() && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0) {
        for (std::size_t n = script.below(4) + 1; n > 0; n--) values[script.byte() % values.size()] = script.byte();
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
    H5Tclose(type);
    H5Dclose(dataset);
}

/// Puts an empty dataset in an object's place: chunked without its data, or contiguous with zeros.
void replace_by_dataset(hid_t file, const std::string& path, Script& script) {
    H5Ldelete(file, path.c_str(), H5P_DEFAULT);
    const hid_t type = some_type(script, largest_text), space = some_space(script, largest_extent);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    const std::array<hsize_t, 3> chunk{4, 4, 4};
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank > 0 && script.below(2)) H5Pset_chunk(properties, rank, chunk.data());
    const hid_t dataset = H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    if (dataset >= 0) H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
    H5Tclose(type);
}

/// Soft, for HDF5 itself stumbles over a group that holds the root under another name.
void replace_by_link(hid_t file, const std::string& path, const std::string& target) {
    H5Ldelete(file, path.c_str(), H5P_DEFAULT);
    H5Lcreate_soft(("/" + target).c_str(), file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
}

void replace_by_group(hid_t file, const std::string& path) {
    H5Ldelete(file, path.c_str(), H5P_DEFAULT);
    const hid_t group = H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group >= 0) H5Gclose(group);
}

void set_attribute(hid_t file, const std::string& path, Script& script) {
    static constexpr const char* names[] = {"identity", "series", "unit", "case_begin", "case_end", "meaning", "new"};
    const char* name = names[script.below(std::size(names))];
    H5Adelete_by_name(file, path.c_str(), name, H5P_DEFAULT);
    if (script.below(4) == 0) return;
    const bool as_ours = script.below(2);
    const hid_t type = as_ours ? H5Tcopy(H5T_STD_I64LE) : some_type(script, largest_attribute);
    const hid_t space = as_ours ? H5Screate(H5S_SCALAR) : some_space(script, largest_attribute);
    const hid_t attribute =
        H5Acreate_by_name(file, path.c_str(), name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    std::array<std::uint8_t, 8> value;
    for (std::uint8_t& byte : value) byte = script.byte();
    if (attribute >= 0 && as_ours) H5Awrite(attribute, type, value.data());
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

void edit_once(hid_t file, Script& script) {
    std::vector<std::string> paths = objects(file);  // "." is the root
    const std::size_t edit = script.below(8);
    const std::string path = paths.at(script.below(paths.size()));
    if (edit == 6) return set_attribute(file, path, script);
    if (edit == 7) return set_attribute(file, ".", script);
    if (path == ".") return;
    if (edit <= 1) change_values(file, path, script);
    if (edit == 2) replace_by_dataset(file, path, script);
    if (edit == 3) replace_by_link(file, path, paths.at(script.below(paths.size())));
    if (edit == 4) H5Ldelete(file, path.c_str(), H5P_DEFAULT);
    if (edit == 5) replace_by_group(file, path);
}

}  // namespace

void edit_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, access);
    H5Pclose(access);
    if (file < 0) std::abort();
    constexpr int most_edits = 16;
    Script script(bytes);
    for (int n = 0; n < most_edits && !script.ended(); n++) edit_once(file, script);
    H5Fclose(file);
}

void expect_all_closed() {
    if (H5Fget_obj_count(hid_t{H5F_OBJ_ALL}, H5F_OBJ_ALL) != 0) std::abort();
}

}  // namespace moesweep::fuzz
