#include "moesweep/json.h"

#include <vector>

namespace moesweep {
namespace {

/// Builds the document from the parser's events. Json::parse with a callback would do the same, but it walks over all
/// elder siblings whenever an object ends: quadratic in the tensors of a checkpoint or the records of a facts file.
class Builder final : public nlohmann::json_sax<Json> {
  public:
    explicit Builder(const std::string& name) : name_(name) {}
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
        fail(Exit::data, "{}: byte {}: not valid JSON", name_, byte);
    }

  private:
    static constexpr std::size_t most_open = 256;  // whoever copies or prints a document does so recursively

    /// Puts a value at the end of the open array, else where the last key (or the document) waits for it.
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

    const std::string& name_;
    Json root_;
    Json* place_ = &root_;
    std::vector<Json*> open_;  // what holds the place, outermost first; nothing is added beside it until it is closed
};

}  // namespace

Json parse_json(std::string_view text, const std::string& name) {
    Builder builder(name);
    Json::sax_parse(text, &builder);
    return builder.take();
}

}  // namespace moesweep
