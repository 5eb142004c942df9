#include "field.h"

#include "moesweep/base/files.h"

namespace moesweep::text {

Field::Field(const Field& parent, const Json& value, const std::string& name)
    : file_(parent.file_), value_(&value), path_(parent.path_.empty() ? name : parent.path_ + "." + name) {}

std::string Field::where() const {
    return path_.empty() ? *file_ : *file_ + ": " + path_;
}

void Field::refuse(const std::string& expected) const {
    constexpr std::size_t shown = 60;
    std::string found = value_->dump(-1, ' ', true);  // ASCII, so that it can be truncated anywhere
    if (found.size() > shown) found = found.substr(0, shown) + "...";
    fail(Exit::data, "{}: expected {}, found {}", where(), expected, found);
}

const Json& Field::object() const {
    if (!value_->is_object()) refuse("an object");
    return *value_;
}

std::optional<Field> Field::find(const std::string& key) const {
    const auto member = object().find(key);
    if (member == value_->end() || member->is_null()) return {};
    return Field(*this, *member, key);
}

Field Field::at(const std::string& key) const {
    const auto member = find(key);
    if (!member) fail(Exit::data, "{}{}{}: missing", where(), path_.empty() ? ": " : ".", key);
    return *member;
}

std::vector<Field> Field::items() const {
    if (!value_->is_array()) refuse("a list");
    std::vector<Field> fields;
    for (std::size_t i = 0; i < value_->size(); ++i) fields.push_back(Field(*this, (*value_)[i], std::to_string(i)));
    return fields;
}

const std::string& Field::string() const {
    if (!value_->is_string()) refuse("a string");
    return value_->get_ref<const std::string&>();
}

std::string Field::text_or(const std::string& key, const std::string& otherwise) const {
    const auto member = find(key);
    return member ? member->string() : otherwise;
}

bool Field::flag(const std::string& key, bool otherwise) const {
    const auto member = find(key);
    if (!member) return otherwise;
    if (!member->value_->is_boolean()) member->refuse("true or false");
    return member->value_->get<bool>();
}

std::int32_t Field::id() const {
    constexpr std::int64_t limit = 1 << 24;  // far above any vocabulary, and a list of that size is harmless
    if (!value_->is_number_integer() || value_->get<std::int64_t>() < 0 || value_->get<std::int64_t>() >= limit)
        refuse(fmt::format("a token id in [0, {})", limit));
    return static_cast<std::int32_t>(value_->get<std::int64_t>());
}

SideFile::SideFile(const std::filesystem::path& path)
    : file(path.string()), json(std::filesystem::exists(path) ? parse_json(read_file(path), file) : Json::object()) {}

const std::string& token_content(const Field& token) {
    return token.json().is_object() ? token.at("content").string() : token.string();
}

}  // namespace moesweep::text
