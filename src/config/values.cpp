#include "moesweep/config/values.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// The items between commas; an empty text has one, which is empty.
std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> items;
    for (bool more = true; more;) {
        const std::size_t comma = text.find(',');
        items.push_back(text.substr(0, comma));
        more = comma != text.npos;
        if (more) text.remove_prefix(comma + 1);
    }
    return items;
}

/// For a value that the program sets itself.
template <class Value>
Value checked(const char* text) {
    const auto value = Value::parse(text);
    if (!value) fail(Exit::internal, "'{}': not a value of this kind", text);
    return *value;
}

}  // namespace

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}
template std::optional<double> parse_number<double>(std::string_view);
template std::optional<std::int64_t> parse_number<std::int64_t>(std::string_view);
template std::optional<int> parse_number<int>(std::string_view);

template <class T>
NumberList<T>::NumberList(const char* text) : NumberList(checked<NumberList>(text)) {}

template <class T>
std::optional<NumberList<T>> NumberList<T>::parse(const std::string& text) {
    constexpr T most = std::numeric_limits<std::int32_t>::max();
    NumberList list;
    list.text_ = text;
    if (text.empty()) return list;
    for (const std::string_view item : split(text)) {
        const auto value = parse_number<T>(item);
        if (!value || !(*value >= 0) || *value > most) return std::nullopt;
        list.values_.push_back(*value);
    }
    return list;
}
template class NumberList<double>;
template class NumberList<std::int64_t>;

std::optional<std::vector<std::string>> parse_words(const std::string& text) {
    std::vector<std::string> words;
    if (text.empty()) return words;
    for (const std::string_view word : split(text)) {
        if (word.empty() || word.front() == ' ' || word.back() == ' ') return std::nullopt;
        if (std::ranges::find(words, word) != words.end()) return std::nullopt;
        words.emplace_back(word);
    }
    return words;
}

LayerList::LayerList(const char* text) : LayerList(checked<LayerList>(text)) {}

std::optional<LayerList> LayerList::parse(const std::string& text) {
    LayerList list;
    list.text_ = text;
    if (text == "all") return list;
    for (const std::string_view item : split(text)) {
        const std::size_t dash = item.find('-');
        const auto first = parse_number<int>(item.substr(0, dash));
        const auto last = dash == item.npos ? first : parse_number<int>(item.substr(dash + 1));
        if (!first || !last || *first < 0 || *last < *first) return std::nullopt;
        list.ranges_.emplace_back(*first, *last);
    }
    return list;
}

std::vector<int> LayerList::of_model(std::int64_t layers, const char* name) const {
    const auto all = ranges_.empty() ? std::vector{std::pair(0, static_cast<int>(layers) - 1)} : ranges_;
    std::set<int> wanted;
    for (const auto& [first, last] : all) {
        if (last >= layers)
            fail(Exit::usage, "{}: expected layers 0 to {} of this model, got {}", name, layers - 1, last);
        for (int layer = first; layer <= last; layer++) wanted.insert(layer);
    }
    return {wanted.begin(), wanted.end()};
}

MemorySize::MemorySize(const char* text) : MemorySize(checked<MemorySize>(text)) {}

std::optional<MemorySize> MemorySize::parse(const std::string& text) {
    static constexpr std::pair<std::string_view, double> units[] = {{"%", 0.01},     {"kB", 1e3},     {"MB", 1e6},
                                                                    {"GB", 1e9},     {"TB", 1e12},    {"KiB", 0x1p10},
                                                                    {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    MemorySize size;
    if (text == "auto") return size;
    size.text_ = text;
    for (const auto& [unit, factor] : units) {
        if (!text.ends_with(unit)) continue;
        const auto value = parse_number<double>(std::string_view(text).substr(0, text.size() - unit.size()));
        if (!value || !(*value > 0) || !(*value < 1e6)) continue;
        size.bytes_ = unit == "%" ? 0 : static_cast<std::int64_t>(*value * factor);
        size.share_ = unit == "%" ? *value * factor : 0;
        if (size.bytes_ > 0 || (size.share_ > 0 && size.share_ <= 1)) return size;
    }
    return std::nullopt;
}

}  // namespace moesweep
