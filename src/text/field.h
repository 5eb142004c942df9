// A value in a JSON file that knows its path, so that every error names file and field.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/base/json.h"

namespace moesweep::text {

class Field {
  public:
    /// The root. `file` and `value` must outlive the field.
    Field(const std::string& file, const Json& value) : file_(&file), value_(&value) {}

    /// A member of this object; the first form fails if it is missing or null.
    Field at(const std::string& key) const;
    std::optional<Field> find(const std::string& key) const;
    std::vector<Field> items() const;

    const std::string& string() const;
    std::string text_or(const std::string& key, const std::string& otherwise) const;
    bool flag(const std::string& key, bool otherwise) const;
    /// A token id: an integer in [0, 2^24).
    std::int32_t id() const;

    /// A named part of this value.
    Field child(const Json& value, const std::string& name) const { return Field(*this, value, name); }

    const Json& json() const { return *value_; }
    const Json& object() const;
    /// "file: path", or "file" for the root.
    std::string where() const;
    /// Error(data) "file: path: expected ..., found ...".
    [[noreturn]] void refuse(const std::string& expected) const;

  private:
    Field(const Field& parent, const Json& value, const std::string& name);
    const std::string* file_;
    const Json* value_;
    std::string path_;
};

/// A file beside tokenizer.json; an absent one reads as {}.
struct SideFile {
    /// Error(data) if its JSON is broken.
    explicit SideFile(const std::filesystem::path& path);
    std::optional<Field> find(const char* key) const { return Field(file, json).find(key); }

    std::string file;
    Json json;
};

/// A token's text, from "content" or {"content": "content", ...}.
const std::string& token_content(const Field& token);

}  // namespace moesweep::text
