#include "moesweep/model/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>

#include "moesweep/base/file_signs.h"
#include "moesweep/base/json.h"

namespace moesweep {
namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000;

const std::map<std::string, std::uint64_t> dtype_bytes = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8}};

struct Entry {
    std::string name, dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin, end;
};

/// A list of whole numbers; JSON's other numbers would be cut to some.
std::vector<std::uint64_t> read_sizes(const Json& json, const std::string& key, const std::string& where) {
    const Json sizes = get_field<Json>(json, key, where);
    if (!sizes.is_array() || !std::ranges::all_of(sizes, &Json::is_number_unsigned))
        fail(Exit::data, "{}: {}: expected a list of whole numbers >= 0, got {}", where, key,
             sizes.dump().substr(0, 80));
    return sizes.get<std::vector<std::uint64_t>>();
}

Entry read_entry(const std::string& file, const std::string& name, const Json& json) {
    const std::string where = file + ": " + name;
    if (!json.is_object()) fail(Exit::data, "{}: not an object", where);
    const auto offsets = read_sizes(json, "data_offsets", where);
    if (offsets.size() != 2) fail(Exit::data, "{}: data_offsets: expected 2 numbers, got {}", where, offsets.size());
    Entry entry{name, get_field<std::string>(json, "dtype", where), {}, offsets[0], offsets[1]};

    const auto size = dtype_bytes.find(entry.dtype);
    if (size == dtype_bytes.end()) fail(Exit::data, "{}: dtype: unknown '{}'", where, entry.dtype);
    std::uint64_t bytes = size->second;
    for (const auto extent : read_sizes(json, "shape", where)) {
        if (extent > std::numeric_limits<std::int64_t>::max() || __builtin_mul_overflow(bytes, extent, &bytes))
            fail(Exit::data, "{}: shape: too large", where);
        entry.shape.push_back(static_cast<std::int64_t>(extent));
    }
    if (entry.end < entry.begin || entry.end - entry.begin != bytes)
        fail(Exit::data, "{}: data_offsets: expected {} bytes for {} {}, got [{}, {})", where, bytes, entry.dtype,
             shape_text(entry.shape), entry.begin, entry.end);
    return entry;
}

/// The header's text; the data begins 8 bytes (the length of the text) behind its end.
std::string read_header_text(const InputFile& input, const std::string& file) {
    static_assert(std::endian::native == std::endian::little);
    std::string beginning(std::min<std::uint64_t>(input.size(), telling_bytes), '\0');
    input.read(0, std::as_writable_bytes(std::span(beginning)));
    const auto refuse = [&](const std::string& what) {
        const std::string kind = what_it_is(beginning);
        fail(Exit::data, "{}: {}", file, kind.empty() ? "header: " + what : kind);
    };
    std::uint64_t length = 0;
    if (input.size() < sizeof length) refuse(fmt::format("file has only {} bytes", input.size()));
    std::memcpy(&length, beginning.data(), sizeof length);
    if (length > max_header_bytes) refuse(fmt::format("{} bytes, at most {}", length, max_header_bytes));
    if (length > input.size() - sizeof length)
        refuse(fmt::format("truncated, expected {} bytes, got {}", length, input.size() - sizeof length));
    std::string text(length, '\0');
    input.read(sizeof length, std::as_writable_bytes(std::span(text)));
    if (!text.starts_with('{')) refuse("does not begin with '{'");
    return text;
}

/// The header's entries in the order of their data, `data` bytes that they must cover without hole or overlap.
std::vector<Entry> parse_header(const std::string& file, const std::string& text, std::uint64_t data) {
    std::vector<Entry> entries;
    const Json header = parse_json(text, file + ": header");
    for (const auto& [name, json] : header.items()) {
        if (name != "__metadata__") entries.push_back(read_entry(file, name, json));
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });

    std::uint64_t position = 0;
    for (const auto& entry : entries) {
        if (entry.begin != position)
            fail(Exit::data, "{}: {}: data_offsets: {} at byte {}, expected to begin at {}", file, entry.name,
                 entry.begin < position ? "overlap" : "hole", entry.begin, position);
        position = entry.end;
    }
    if (data < position) fail(Exit::data, "{}: truncated: expected {} bytes of data, got {}", file, position, data);
    if (data > position) fail(Exit::data, "{}: data: {} bytes belong to no tensor", file, data - position);
    return entries;
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::vector<TensorView> read_tensors(const InputFile& file) {
    const std::string path = file.path().string(), header = read_header_text(file, path);
    const std::uint64_t data = sizeof(std::uint64_t) + header.size();
    std::vector<TensorView> tensors;
    for (const Entry& entry : parse_header(path, header, file.size() - data))
        tensors.push_back({entry.name, entry.dtype, entry.shape, &file, data + entry.begin, entry.end - entry.begin});
    return tensors;
}

}  // namespace moesweep
