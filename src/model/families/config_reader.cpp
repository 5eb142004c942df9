#include "config_reader.h"

namespace moesweep {

void ConfigReader::read(Names names, std::int64_t& value, std::int64_t most) const {
    const char* first = nullptr;
    for (const char* key : names) {
        if (!json_.contains(key)) continue;
        const auto found = get_or(key, value);
        if (found < 1 || found > most) refuse(key, "expected a whole number from 1 to {}, got {}", most, found);
        if (first && found != value) refuse(key, "{}, but {} is {}", found, first, value);
        first = key;
        value = found;
    }
}

void ConfigReader::read_optional(const char* key, std::int64_t& value) const {
    if (json_.contains(key) && json_.at(key).is_null())
        value = 0;
    else
        read(key, value);
}

Json ConfigReader::list(const std::string& key) const {
    if (!has(key)) return Json::array();
    if (!json_.at(key).is_array()) refuse(key, "expected a list");
    return json_.at(key);
}

void ConfigReader::read_rope(const char* key, double& value) const {
    const std::string newer = "rope_parameters", older = "rope_scaling", place = has(older) ? older : newer;
    if (has(older) && has(newer) && json_.at(older) != json_.at(newer))
        refuse(older, "not the same as {}, expected one of them", newer);
    read(key, value);
    if (!has(place)) return;

    const Json& rope = json_.at(place);
    const std::string where = file_ + ": " + place;
    if (!rope.is_object()) fail(Exit::data, "{}: not an object", where);
    for (const char* type_key : {"rope_type", "type"}) {
        const auto type = rope.contains(type_key) ? get_field<std::string>(rope, type_key, where) : "default";
        if (type != "default") fail(Exit::data, "{}: {}: rope scaling '{}' is not supported", where, type_key, type);
    }
    for (const auto& [name, inner] : rope.items())
        if (inner.is_object()) fail(Exit::data, "{}: {}: a rotation of its own is not supported", where, name);
    if (rope.contains(key)) value = get_field<double>(rope, key, where);  // whatever the top says, as in transformers
}

}  // namespace moesweep
