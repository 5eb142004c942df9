// A line of a JSON lines file about questions: its fields as texts.
#pragma once
#include <string>
#include <string_view>

#include "moesweep/base/json_record.h"

namespace moesweep {

class Line : public JsonRecord<OrderedJson> {
  public:
    /// `number` is the line's, from 1.
    Line(const OrderedJson& json, const std::string& file, std::size_t number)
        : JsonRecord(json, fmt::format("{}: line {}", file, number)) {}

    /// A text that is neither blank nor has a zero byte, at which readers of the results would cut it.
    const std::string& filled_text(const OrderedJson& value, std::string_view path) const {
        const std::string& whole = text(value, path);
        if (whole.find_first_not_of(" \t\r\n") == whole.npos) refuse("{}: blank", path);
        if (whole.find('\0') != whole.npos) refuse("{}: has a zero byte", path);
        return whole;
    }
    const std::string& filled_text(const OrderedJson& parent, const std::string& key, std::string_view path) const {
        return filled_text(member(parent, key, path), path);
    }

    /// The field "id", a text or a whole number, by which messages call the line from now on.
    std::string take_id() {
        const OrderedJson& id = member(json(), "id", "id");
        if (!id.is_string() && !id.is_number_integer())
            refuse("id: expected a text or a whole number, got {}", shown(id));
        std::string as_text = id.is_string() ? filled_text(id, "id") : id.dump();
        identify("id " + as_text);
        return as_text;
    }
};

}  // namespace moesweep
