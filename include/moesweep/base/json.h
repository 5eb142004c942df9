// JSON for every room: parsed whole, duplicate keys refused, each mistake named by file and byte, or file and field.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "moesweep/base/error.h"

namespace moesweep {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  ///< members in the order of the file; finding one walks over them

/// Parses a JSON text. Error(data): "name: byte 17: ..." for a syntax error, "name: key: appears twice" for a repeated
/// key, "name: nested more than 256 deep".
Json parse_json(std::string_view text, const std::string& name);

/// Calls `visit` with the document of each line and the line's number, from 1. Lines of blanks are passed over, as is a
/// byte order mark. Error(data): "name: line 3: " in front of parse_json's, or "name: no record in it".
void for_each_json_line(std::string_view text, const std::string& name,
                        const std::function<void(const OrderedJson&, std::size_t)>& visit);

/// The value of `key` in an object, converted to T. Error(data) "name: key: ..." if it is absent or of another type.
template <class T>
T get_field(const Json& object, const std::string& key, const std::string& name) {
    const auto at = object.find(key);
    if (at == object.end() || at->is_null()) fail(Exit::data, "{}: {}: missing", name, key);
    try {
        const bool fits = std::is_same_v<T, bool>       ? at->is_boolean()
                          : std::is_integral_v<T>       ? at->is_number_integer()
                          : std::is_floating_point_v<T> ? at->is_number()
                                                        : true;
        if (fits) return at->get<T>();
    } catch (const Json::exception&) {}
    fail(Exit::data, "{}: {}: unexpected value {}", name, key, at->dump().substr(0, 80));
}

/// The same, with a default for an absent or null key.
template <class T>
T get_field_or(const Json& object, const std::string& key, const std::string& name, T otherwise) {
    const auto at = object.find(key);
    return at == object.end() || at->is_null() ? otherwise : get_field<T>(object, key, name);
}

}  // namespace moesweep
