// Values of keys that are written as lists or sizes: parsed once, when they are read, and printed as they were given.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moesweep {

/// Numbers >= 0 separated by commas, such as "1,2,4"; none in an empty text. T is double or std::int64_t.
template <class T>
class NumberList {
  public:
    NumberList() = default;
    NumberList(const char* text);  ///< Error(internal) for a text that parse() refuses
    static std::optional<NumberList> parse(const std::string& text);

    const std::string& text() const { return text_; }
    const std::vector<T>& values() const { return values_; }

  private:
    std::string text_;
    std::vector<T> values_;
};
extern template class NumberList<double>;
extern template class NumberList<std::int64_t>;

/// Decoder layers, from 0: "all", or such as "0-3,7".
class LayerList {
  public:
    LayerList() = default;        ///< all
    LayerList(const char* text);  ///< Error(internal) for a text that parse() refuses
    static std::optional<LayerList> parse(const std::string& text);

    const std::string& text() const { return text_; }
    /// The layers of a model of so many, ascending and without repeats. Error(usage) names the key `name` for a layer
    /// that is not there.
    std::vector<int> of_model(std::int64_t layers, const char* name) const;

  private:
    std::string text_ = "all";
    std::vector<std::pair<int, int>> ranges_;  // closed; none: all
};

/// Memory: "1GB", "800MiB", a share such as "60%" of what there is, or "auto", which is 80 %.
class MemorySize {
  public:
    MemorySize() = default;
    MemorySize(const char* text);  ///< Error(internal) for a text that parse() refuses
    static std::optional<MemorySize> parse(const std::string& text);

    const std::string& text() const { return text_; }
    bool is_share() const { return bytes_ == 0; }
    std::int64_t bytes() const { return bytes_; }  ///< 0 of a share
    double share() const { return share_; }        ///< in (0, 1]

  private:
    std::string text_ = "auto";
    std::int64_t bytes_ = 0;
    double share_ = 0.8;
};

/// Words separated by commas, such as "en,de"; none in an empty text. Nothing where a word is empty, has a blank at an
/// end or comes twice.
std::optional<std::vector<std::string>> parse_words(const std::string& text);

/// The whole text as a number in the C locale: no blanks, no plus sign, nothing after it.
template <class T>
std::optional<T> parse_number(std::string_view text);
extern template std::optional<double> parse_number<double>(std::string_view);
extern template std::optional<std::int64_t> parse_number<std::int64_t>(std::string_view);
extern template std::optional<int> parse_number<int>(std::string_view);

}  // namespace moesweep
