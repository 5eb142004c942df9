// A record of a JSON file of many: its fields checked one by one, in messages that name the file, the record and the
// field.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "moesweep/base/json.h"

namespace moesweep {

/// `J` is Json or OrderedJson. All refusals are Error(data). A field's `path` is how messages call it.
template <class J>
class JsonRecord {
  public:
    /// `name` is how messages call it, such as "facts.json: record 3". `json` must outlive it, and be an object.
    JsonRecord(const J& json, std::string name) : json_(json), name_(std::move(name)) {
        if (!json.is_object()) refuse("expected an object, got {}", json.type_name());
    }

    /// Puts what the record is behind its name, such as "case_id 70".
    void identify(std::string_view as) { name_ += fmt::format(" ({})", as); }

    const J& json() const { return json_; }

    const J& member(const J& parent, const std::string& key, std::string_view path) const {
        const auto at = parent.find(key);
        if (at == parent.end()) refuse("{}: missing", path);
        return *at;
    }

    const J& object(const J& parent, const std::string& key, std::string_view path) const {
        const J& value = member(parent, key, path);
        if (!value.is_object()) refuse("{}: expected an object, got {}", path, shown(value));
        return value;
    }

    /// A text that is not empty.
    const std::string& text(const J& value, std::string_view path) const {
        if (!value.is_string()) refuse("{}: expected a text, got {}", path, shown(value));
        const auto& whole = value.template get_ref<const std::string&>();
        if (whole.empty()) refuse("{}: empty", path);
        return whole;
    }
    const std::string& text(const J& parent, const std::string& key, std::string_view path) const {
        return text(member(parent, key, path), path);
    }

    template <class... Args>
    [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
        fail(Exit::data, "{}: {}", name_, fmt::format(format, std::forward<Args>(args)...));
    }

    /// A value's beginning, in whole characters, for messages.
    static std::string shown(const J& value) {
        const std::string whole = value.dump(-1, ' ', false, J::error_handler_t::replace);
        std::size_t end = std::min<std::size_t>(whole.size(), 60);
        const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
        while (end < whole.size() && goes_on(whole[end])) --end;
        return whole.substr(0, end);
    }

  private:
    const J& json_;
    std::string name_;
};

}  // namespace moesweep
