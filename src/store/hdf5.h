// HDF5's C API for this room: identifiers that close themselves, calls whose return codes are checked, files, groups
// and attributes (columns.h has the datasets). Whatever fails becomes an Error that names file and object: Error(data)
// for a file that is not as it must be, Error(io) when the system failed, Error(internal) while building an image in
// memory. Not thread-safe, as the library is not.
#pragma once
#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "disk_driver.h"
#include "moesweep/base/error.h"
#include "moesweep/store/result_table.h"

namespace moesweep::hdf5 {

/// Owns an HDF5 identifier.
class Id {
  public:
    Id() = default;
    Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    ~Id() { reset(); }
    Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
    Id& operator=(Id&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    /// Closes now; what close returned, 0 if there was nothing to close.
    herr_t reset() { return id_ < 0 ? 0 : close_(std::exchange(id_, H5I_INVALID_HID)); }
    operator hid_t() const { return id_; }

  private:
    hid_t id_ = H5I_INVALID_HID;
    herr_t (*close_)(hid_t) = nullptr;
};

/// An open group or dataset, with the file to blame and its path in it ("" for the root).
struct Node {
    const Source* source = nullptr;
    Id id;
    std::string path;

    std::string child(std::string_view name) const {
        return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
    }
    /// Throws for this object (or `object` of it): "file: object: <message>".
    template <class... Args>
    [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
        fail(source->blame, "{}: {}: {}", source->name, path.empty() ? "/" : path,
             fmt::format(format, std::forward<Args>(args)...));
    }
};

/// The library's own words for its last failure: the innermost message, which is the most specific.
std::string last_message();

/// A return code or identifier that is none of a failure, or the Error about the object at `path`.
template <class Result>
Result checked(Result result, const Source& source, const std::string& path, const char* what) {
    if (result >= 0) return result;
    expect_no_error(source);
    fail(source.blame, "{}: {}: {}: {}", source.name, path.empty() ? "/" : path, what, last_message());
}
template <class Result>
Result checked(Result result, const Node& node, const char* what) {
    return checked(result, *node.source, node.path, what);
}

/// For calls that touch no file (property lists, types, spaces), where only memory can be short. Error(internal).
void expect_set(herr_t result);
Id made(hid_t id, herr_t (*close)(hid_t));
Id property_list(hid_t kind);

/// Fixed-length UTF-8, padded with NUL; at least one byte wide, for HDF5 has no empty type.
Id text_type(std::size_t width);
bool is_text(hid_t type);
std::string unpadded(const char* text, std::size_t width);
/// Error(data): padding could not be told from a NUL in a text.
void expect_no_nul(const Source& source, const std::string& path, std::string_view text);

/// A file that HDF5 builds or reads. Nodes must be gone before it is.
class File {
  public:
    /// A new file in memory; `name` is what messages call it.
    static File image(std::string name);
    /// A new file on disk at `path`, called `name` in messages. Call close() when it is written.
    static File create(const std::filesystem::path& path, std::string name);
    /// An existing file, read-only. Error(data) if there is none; what is wrong in it is an Error of code `blame`.
    static File open(const std::filesystem::path& path, std::string name, Exit blame = Exit::data);
    /// An existing file that is in memory, read-only. Error(data).
    static File open(std::vector<std::byte> image, std::string name);

    Node root() const;
    /// Error(io) if any write so far failed: call it now and then while writing much.
    void expect_written() const;
    /// Writes what is pending, syncs and closes; no node of the file may be open. Error(io).
    void close();
    /// Closes an image and hands it out.
    std::vector<std::byte> bytes();

  private:
    static File create(Source source);
    static File open(Source source);
    explicit File(Source source) : source_(std::make_unique<Source>(std::move(source))) {}
    std::unique_ptr<Source> source_;  // outlives id_: the driver uses it until the file is closed
    Id id_;
};

Node create_group(const Node& parent, const std::string& name);
Node open_group(const Node& parent, const std::string& name);
bool has(const Node& parent, const std::string& name);
std::vector<std::string> names(const Node& group);  ///< of its members, in the order in which they were made

/// Attributes: fixed-length UTF-8 texts, 64-bit integers ("numbers") and doubles ("reals"). A text may not contain NUL.
void write_attribute(const Node& node, const std::string& name, std::string_view text);
void write_attribute(const Node& node, const std::string& name, std::int64_t number);
void write_attribute(const Node& node, const std::string& name, double real);
std::string read_text_attribute(const Node& node, const std::string& name);
std::int64_t read_number_attribute(const Node& node, const std::string& name);
double read_real_attribute(const Node& node, const std::string& name);
Attributes read_attributes(
    const Node& node);  ///< all of a node that has only texts, in the order in which they were made

}  // namespace moesweep::hdf5
