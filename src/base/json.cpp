#include "moesweep/base/json.h"

#include <algorithm>
#include <vector>

#include "moesweep/base/file_signs.h"

namespace moesweep {
namespace {

/// Where the parser stopped, and what it found there.
struct Place {
    std::string_view text;
    std::size_t at;  // the byte that it could not parse; the text's size at its end

    std::string_view rest() const { return text.substr(at); }
    auto line() const { return 1 + std::ranges::count(text.substr(0, at), '\n'); }
    /// The last character before it that is not white space.
    char before() const {
        const std::size_t last = text.substr(0, at).find_last_not_of(" \t\r\n");
        return last == text.npos ? '\0' : text[last];
    }
    bool begins(std::initializer_list<std::string_view> words) const {
        return std::ranges::any_of(words, [&](std::string_view word) { return rest().starts_with(word); });
    }
};

/// What is wrong, if it is one of the common deviations from JSON; empty otherwise.
std::string habit_at(const Place& place, bool behind_a_value) {
    if (place.text.empty()) return "the file is empty";
    if (place.rest().empty()) return "it ends too early";
    if (behind_a_value && place.begins({"{", "["}))
        return "a second value after the first; `jq -s .` makes one array of JSON lines";
    if (place.begins({"NaN", "Infinity"})) {
        const std::string_view word = place.rest().substr(0, place.begins({"NaN"}) ? 3 : 8);
        return fmt::format("{}{} is not a number in JSON", place.before() == '-' ? "-" : "", word);
    }
    if (place.begins({"//", "/*", "#"})) return "JSON has no comments";
    if (place.begins({"}", "]"}) && place.before() == ',') return "a comma after the last element";
    if (place.begins({"'", "True", "False", "None"})) return "written as Python prints it, not as JSON";
    return "";
}

/// Builds the document from the parser's events. Json::parse with a callback would do the same, but it walks over all
/// earlier siblings whenever an object ends: quadratic in the tensors of a checkpoint or the records of a facts file.
class Builder final : public nlohmann::json_sax<Json> {
  public:
    Builder(std::string_view text, const std::string& name) : text_(text), name_(name) {}
    Json take() { return std::move(root_); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t& value) override { return add(std::move(value)); }

    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& key) override {
        const auto [at, fresh] = open_.back()->get_ref<Json::object_t&>().try_emplace(key);
        if (!fresh) fail(Exit::data, "{}: {}: appears twice", name_, key);
        place_ = &at->second;
        return true;
    }

    bool parse_error(std::size_t byte, const std::string&, const Json::exception& error) override {
        if (dynamic_cast<const Json::out_of_range*>(&error))
            fail(Exit::data, "{}: holds a number beyond the range of double", name_);
        if (const std::string kind = what_it_is(text_); !kind.empty()) fail(Exit::data, "{}: {}", name_, kind);
        const Place place{text_, std::min(byte - 1, text_.size())};
        const std::string why = habit_at(place, open_.empty() && root_.is_structured());
        fail(Exit::data, "{}: byte {}: not valid JSON{}", name_, byte,
             why.empty() ? "" : fmt::format(": line {}: {}", place.line(), why));
    }

  private:
    static constexpr std::size_t most_open = 256;  // documents are copied and printed recursively

    /// Puts a value at the end of the open array, or at the last key, or at the root.
    bool add(Json value) {
        if (!open_.empty() && open_.back()->is_array()) place_ = &open_.back()->emplace_back();
        *place_ = std::move(value);
        return true;
    }
    bool open(Json value) {
        if (open_.size() == most_open) fail(Exit::data, "{}: nested more than {} deep", name_, most_open);
        add(std::move(value));
        open_.push_back(place_);
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    std::string_view text_;
    const std::string& name_;
    Json root_;
    Json* place_ = &root_;
    std::vector<Json*> open_;  // the containers that are being filled, outermost first
};

}  // namespace

Json parse_json(std::string_view text, const std::string& name) {
    Builder builder(text, name);
    Json::sax_parse(text, &builder);
    return builder.take();
}

}  // namespace moesweep
