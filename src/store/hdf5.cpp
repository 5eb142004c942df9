#include "hdf5.h"

#include <algorithm>
#include <cstring>

namespace moesweep::hdf5 {
namespace {

// The latest format of HDF5 1.10: checksums cover all metadata, and a newer library still writes it.
constexpr auto format_version = H5F_LIBVER_V110;

Id access_list(Source* source) {
    static const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // messages travel in our Errors
    expect_set(quiet);
    Id list = property_list(H5P_FILE_ACCESS);
    expect_set(H5Pset_libver_bounds(list, format_version, format_version));
    expect_set(use_source(list, source));
    return list;
}

/// Groups without times, with members in the order in which they were made, and links and attributes in the object
/// header, where checksums cover them.
void set_group_properties(hid_t list) {
    expect_set(H5Pset_obj_track_times(list, false));
    expect_set(H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED));
    expect_set(H5Pset_link_phase_change(list, 64, 32));
    expect_set(H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED));
    expect_set(H5Pset_attr_phase_change(list, 64, 32));
}

Id file_properties() {
    Id list = property_list(H5P_FILE_CREATE);
    set_group_properties(list);
    return list;
}

void put_attribute(const Node& node, const std::string& name, hid_t type, const void* value) {
    const Id space = made(H5Screate(H5S_SCALAR), H5Sclose);
    const std::string path = node.child(name);
    const Id attribute(checked(H5Acreate2(node.id, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), *node.source,
                               path, "cannot create the attribute"),
                       H5Aclose);
    checked(H5Awrite(attribute, type, value), *node.source, path, "cannot write the attribute");
}

Node open_attribute(const Node& node, const std::string& name) {
    Node attribute{node.source, {}, node.child(name)};
    attribute.id = {checked(H5Aopen(node.id, name.c_str(), H5P_DEFAULT), attribute, "cannot open the attribute"),
                    H5Aclose};
    const Id space(checked(H5Aget_space(attribute.id), attribute, "cannot read the attribute"), H5Sclose);
    if (H5Sget_simple_extent_type(space) != H5S_SCALAR) attribute.refuse("expected a single value");
    return attribute;
}

Id type_of_attribute(const Node& attribute) {
    return {checked(H5Aget_type(attribute.id), attribute, "cannot read the attribute"), H5Tclose};
}

/// The value of an attribute that must be of exactly this type.
template <class T>
T read_value(const Node& node, const std::string& name, hid_t type, const char* what) {
    const Node attribute = open_attribute(node, name);
    if (H5Tequal(type_of_attribute(attribute), type) <= 0) attribute.refuse("expected {}", what);
    T value{};
    checked(H5Aread(attribute.id, type, &value), attribute, "cannot read the attribute");
    return value;
}

/// The name that get(buffer, size) fills in; get(nullptr, 0) tells its length.
template <class Get>
std::string text_from(const Node& node, Get get) {
    std::string name(static_cast<std::size_t>(checked(get(nullptr, 0), node, "cannot be listed")), '\0');
    checked(get(name.data(), name.size() + 1), node, "cannot be listed");
    return name;
}

}  // namespace

std::string last_message() {
    std::string message = "no reason given";
    const auto innermost = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
        if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
        return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &message);
    std::ranges::replace(message, '\n', ' ');
    return message;
}

Id made(hid_t id, herr_t (*close)(hid_t)) {
    if (id < 0) fail(Exit::internal, "HDF5: {}", last_message());
    return {id, close};
}

void expect_set(herr_t result) {
    if (result < 0) fail(Exit::internal, "HDF5: {}", last_message());
}

Id property_list(hid_t kind) {
    return made(H5Pcreate(kind), H5Pclose);
}

Id text_type(std::size_t width) {
    Id type = made(H5Tcopy(H5T_C_S1), H5Tclose);
    expect_set(H5Tset_size(type, std::max<std::size_t>(width, 1)));
    expect_set(H5Tset_cset(type, H5T_CSET_UTF8));
    expect_set(H5Tset_strpad(type, H5T_STR_NULLPAD));
    return type;
}

bool is_text(hid_t type) {
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && H5Tget_cset(type) == H5T_CSET_UTF8 &&
           H5Tget_strpad(type) == H5T_STR_NULLPAD;
}

std::string unpadded(const char* text, std::size_t width) {
    return {text, ::strnlen(text, width)};
}

void expect_no_nul(const Source& source, const std::string& path, std::string_view text) {
    if (text.find('\0') != std::string_view::npos)
        fail(Exit::data, "{}: {}: the text \"{}...\" contains a NUL character", source.name, path,
             text.substr(0, text.find('\0')));
}

File File::create(Source source) {
    File file(std::move(source));
    const Id access = access_list(file.source_.get());
    const std::string& name = file.source_->name;
    file.id_ = {checked(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, file_properties(), access), *file.source_, "",
                        "cannot be created"),
                H5Fclose};
    return file;
}

File File::image(std::string name) {
    return create(Source(std::move(name), Exit::internal));
}

File File::create(const std::filesystem::path& path, std::string name) {
    return create(create_source(path, std::move(name)));
}

File File::open(Source source) {
    File file(std::move(source));
    const Id access = access_list(file.source_.get());
    const std::string& name = file.source_->name;
    file.id_ = {checked(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access), *file.source_, "", "not a complete HDF5 file"),
                H5Fclose};
    return file;
}

File File::open(const std::filesystem::path& path, std::string name, Exit blame) {
    return open(open_source(path, std::move(name), blame));
}

File File::open(std::vector<std::byte> image, std::string name) {
    Source source(std::move(name), Exit::data);
    source.image = std::move(image);
    return open(std::move(source));
}

Node File::root() const {
    return {source_.get(), {checked(H5Gopen2(id_, "/", H5P_DEFAULT), *source_, "", "cannot be opened"), H5Gclose}, ""};
}

void File::expect_written() const {
    expect_no_error(*source_);
}

void File::close() {
    const herr_t result = id_.reset();
    expect_no_error(*source_);
    checked(result, *source_, "", "cannot be closed");
    close_source(*source_);
}

std::vector<std::byte> File::bytes() {
    close();
    return std::move(source_->image);
}

Node create_group(const Node& parent, const std::string& name) {
    const Id properties = property_list(H5P_GROUP_CREATE);
    set_group_properties(properties);
    Node group{parent.source, {}, parent.child(name)};
    group.id = {
        checked(H5Gcreate2(parent.id, name.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT), group, "cannot be created"),
        H5Gclose};
    return group;
}

Node open_group(const Node& parent, const std::string& name) {
    Node group{parent.source, {}, parent.child(name)};
    group.id = {checked(H5Gopen2(parent.id, name.c_str(), H5P_DEFAULT), group, "cannot be opened"), H5Gclose};
    return group;
}

bool has(const Node& parent, const std::string& name) {
    return checked(H5Lexists(parent.id, name.c_str(), H5P_DEFAULT), parent, "cannot be searched") > 0;
}

std::vector<std::string> names(const Node& group) {
    H5G_info_t info;
    checked(H5Gget_info(group.id, &info), group, "cannot be listed");
    std::vector<std::string> result;
    for (hsize_t i = 0; i < info.nlinks; ++i)
        result.push_back(text_from(group, [&](char* out, std::size_t size) {
            return H5Lget_name_by_idx(group.id, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, out, size, H5P_DEFAULT);
        }));
    return result;
}

void write_attribute(const Node& node, const std::string& name, std::string_view text) {
    expect_no_nul(*node.source, node.child(name), text);
    std::string padded(text);
    padded.resize(std::max<std::size_t>(text.size(), 1));
    put_attribute(node, name, text_type(padded.size()), padded.data());
}

void write_attribute(const Node& node, const std::string& name, std::int64_t number) {
    put_attribute(node, name, hid_t{H5T_STD_I64LE}, &number);
}

void write_attribute(const Node& node, const std::string& name, double real) {
    put_attribute(node, name, hid_t{H5T_IEEE_F64LE}, &real);
}

std::string read_text_attribute(const Node& node, const std::string& name) {
    const Node attribute = open_attribute(node, name);
    const Id type = type_of_attribute(attribute);
    if (!is_text(type)) attribute.refuse("expected a UTF-8 text of fixed length");
    std::string text(H5Tget_size(type), '\0');
    checked(H5Aread(attribute.id, type, text.data()), attribute, "cannot read the attribute");
    return unpadded(text.data(), text.size());
}

Attributes read_attributes(const Node& node) {
    H5O_info_t info;
    checked(H5Oget_info2(node.id, &info, H5O_INFO_NUM_ATTRS), node, "cannot be listed");
    Attributes result;
    for (hsize_t i = 0; i < info.num_attrs; ++i) {
        const std::string name = text_from(node, [&](char* out, std::size_t size) {
            return H5Aget_name_by_idx(node.id, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, out, size, H5P_DEFAULT);
        });
        result.emplace_back(name, read_text_attribute(node, name));
    }
    return result;
}

std::int64_t read_number_attribute(const Node& node, const std::string& name) {
    return read_value<std::int64_t>(node, name, H5T_STD_I64LE, "a 64-bit integer");
}

double read_real_attribute(const Node& node, const std::string& name) {
    return read_value<double>(node, name, H5T_IEEE_F64LE, "a 64-bit floating-point number");
}

}  // namespace moesweep::hdf5
