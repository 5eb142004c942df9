// config.json as the families see it.
#pragma once
#include <cstdint>
#include <string>

#include "moesweep/base/json.h"

namespace moesweep {

/// Each read() leaves `value`, the family's default, as it is where config.json
/// lacks the field; a field with two names must not have two values. One line per mistake.
class ConfigReader {
  public:
    using Names = std::initializer_list<const char*>;
    static constexpr std::int64_t most_of_any = 1'000'000'000;

    ConfigReader(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {}
    /// A whole number from 1 to `most`, which stands between a mistake and all of the memory.
    void read(Names names, std::int64_t& value, std::int64_t most = most_of_any) const;
    void read(const char* key, std::int64_t& value) const { read(Names{key}, value); }
    void read(const char* key, double& value) const { value = get_or(key, value); }
    void read(const char* key, bool& value) const { value = get_or(key, value); }
    /// The same, where null is a value: 0, "none".
    void read_optional(const char* key, std::int64_t& value) const;
    /// rope_theta or partial_rotary_factor: inside rope_parameters (or rope_scaling), else at the top.
    void read_rope(const char* key, double& value) const;
    template <class T>
    T get_or(const std::string& key, T otherwise) const {
        if (!json_.contains(key)) return otherwise;
        if (json_.at(key).is_null()) refuse(key, "null, expected a value");
        return get_field<T>(json_, key, file_);
    }
    /// The items of a list; none where there is no such field.
    Json list(const std::string& key) const;
    /// Neither left out nor null, {} or [].
    bool has(const std::string& key) const { return json_.contains(key) && !json_.at(key).empty(); }
    template <class... Args>
    [[noreturn]] void refuse(const std::string& key, fmt::format_string<Args...> why, Args&&... args) const {
        fail(Exit::data, "{}: {}: {}", file_, key, fmt::format(why, std::forward<Args>(args)...));
    }

  private:
    Json json_;
    std::string file_;
};

}  // namespace moesweep
