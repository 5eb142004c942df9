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

enum class Extent { file, line };  ///< of a document

/// What is wrong, if it is one of the common deviations from JSON; empty otherwise.
std::string habit_at(const Place& place, bool behind_a_value, Extent extent) {
    if (place.text.empty()) return "the file is empty";
    if (place.rest().empty()) return "it ends too early";
    if (behind_a_value && place.begins({"{", "["}))
        return extent == Extent::line ? "a second value in the line"
                                      : "a second value after the first; `jq -s .` makes one array of JSON lines";
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
template <class J>
class Builder final : public nlohmann::json_sax<J> {
  public:
    Builder(std::string_view text, const std::string& name, Extent extent)
        : text_(text), name_(name), extent_(extent) {}
    J take() { return std::move(root_); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(typename J::number_integer_t value) override { return add(value); }
    bool number_unsigned(typename J::number_unsigned_t value) override { return add(value); }
    bool number_float(typename J::number_float_t value, const std::string&) override { return add(value); }
    bool string(std::string& value) override { return add(std::move(value)); }
    bool binary(typename J::binary_t& value) override { return add(std::move(value)); }

    bool start_object(std::size_t) override { return open(J::object()); }
    bool start_array(std::size_t) override { return open(J::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(std::string& key) override {
        const auto [at, fresh] = open_.back()->template get_ref<typename J::object_t&>().emplace(key, J());
        if (!fresh) fail(Exit::data, "{}: {}: appears twice", name_, key);
        place_ = &at->second;
        return true;
    }

    bool parse_error(std::size_t byte, const std::string&, const typename J::exception& error) override {
        if (dynamic_cast<const typename J::out_of_range*>(&error))
            fail(Exit::data, "{}: holds a number beyond the range of double", name_);
        if (const std::string kind = what_it_is(text_); !kind.empty()) fail(Exit::data, "{}: {}", name_, kind);
        const Place place{text_, std::min(byte - 1, text_.size())};
        std::string why = habit_at(place, open_.empty() && root_.is_structured(), extent_);
        if (!why.empty()) why = extent_ == Extent::file ? fmt::format(": line {}: {}", place.line(), why) : ": " + why;
        fail(Exit::data, "{}: byte {}: not valid JSON{}", name_, byte, why);
    }

  private:
    static constexpr std::size_t most_open = 256;  // documents are copied and printed recursively

    /// Puts a value at the end of the open array, or at the last key, or at the root.
    bool add(J value) {
        if (!open_.empty() && open_.back()->is_array()) place_ = &open_.back()->emplace_back();
        *place_ = std::move(value);
        return true;
    }
    bool open(J value) {
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
    Extent extent_;
    J root_;
    J* place_ = &root_;
    std::vector<J*> open_;  // the containers that are being filled, outermost first
};

template <class J>
J parse(std::string_view text, const std::string& name, Extent extent) {
    Builder<J> builder(text, name, extent);
    J::sax_parse(text, &builder);
    return builder.take();
}

}  // namespace

Json parse_json(std::string_view text, const std::string& name) {
    return parse<Json>(text, name, Extent::file);
}

void for_each_json_line(std::string_view text, const std::string& name,
                        const std::function<void(const OrderedJson&, std::size_t)>& visit) {
    constexpr std::string_view blanks = " \t\r", byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    bool any = false;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.find_first_not_of(blanks) == line.npos) continue;
        if (!any && line[line.find_first_not_of(blanks)] == '[')
            fail(Exit::data, "{}: expected JSON lines, got an array; `jq -c '.[]'` makes lines of it", name);
        visit(parse<OrderedJson>(line, fmt::format("{}: line {}", name, number), Extent::line), number);
        any = true;
    }
    if (!any) fail(Exit::data, "{}: no record in it", name);
}

}  // namespace moesweep
