#include "moesweep/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>

#include "keys.h"
#include "moesweep/base/error.h"
#include "moesweep/base/file_signs.h"
#include "moesweep/base/files.h"

namespace moesweep {
namespace {

const Key* find_key(std::string_view name) {
    const auto at = std::ranges::find(keys(), name, &Key::name);
    return at == keys().end() ? nullptr : &*at;
}

bool is_section(std::string_view name) {
    return std::ranges::any_of(keys(), [&](const Key& key) { return key.section() == name; });
}

/// Sets one key. `where` opens the message and ends with what names the key.
void set(Config& config, const Key* key, const std::string& value, const std::string& where) {
    if (!key) fail(Exit::usage, "{}: unknown key", where);
    if (!key->parse(config, value)) fail(Exit::usage, "{}: expected {}, got '{}'", where, key->expected, value);
}

std::string_view trim(std::string_view text) {
    constexpr const char* blank = " \t\r";
    const std::size_t begin = text.find_first_not_of(blank);
    return begin == text.npos ? text.substr(0, 0) : text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/// One INI file, line by line, because a mistake is named by its line.
class IniReader {
  public:
    IniReader(Config& config, const std::string& name) : config_(config), name_(name) {}

    void read(std::string_view text) {
        constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
        if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            line_++;
            read_line(trim(text.substr(0, end)));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

  private:
    void read_line(std::string_view line) {
        if (line.empty() || line.front() == '#' || line.front() == ';') return;
        const std::size_t equals = line.find('=');
        if (line.front() == '[' && line.back() == ']')
            open_section(std::string(trim(line.substr(1, line.size() - 2))));
        else if (equals == line.npos)
            fail(Exit::usage, "{}:{}: expected [section], key = value or a comment, got '{}'", name_, line_, line);
        else
            set_key(std::string(trim(line.substr(0, equals))), std::string(trim(line.substr(equals + 1))));
    }

    void open_section(const std::string& section) {
        if (!is_section(section)) fail(Exit::usage, "{}:{}: [{}]: unknown section", name_, line_, section);
        section_ = section;
    }

    void set_key(const std::string& key, const std::string& value) {
        if (section_.empty()) fail(Exit::usage, "{}:{}: {}: stands before the first [section]", name_, line_, key);
        const std::string full = section_ + "." + key;
        const auto [first, is_new] = lines_.emplace(full, line_);
        if (!is_new) fail(Exit::usage, "{}:{}: {}: set twice, first in line {}", name_, line_, full, first->second);
        set(config_, find_key(full), value, fmt::format("{}:{}: {}", name_, line_, full));
    }

    Config& config_;
    const std::string& name_;
    std::string section_;
    int line_ = 0;
    std::map<std::string, int> lines_;  // of the keys seen
};

std::string environment_name(const std::string& key) {
    std::string name = "MOESWEEP_" + key;
    for (char& c : name) c = c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

/// MOESWEEP_SECTION_KEY. A name that starts like a section must be a key of it; others (MOESWEEP_BUILD) are not ours.
void read_environment(Config& config) {
    for (char** entry = environ; *entry; entry++) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (!text.starts_with("MOESWEEP_") || equals == text.npos) continue;
        const std::string name(text.substr(0, equals));
        const auto names_key = [&](const Key& key) { return environment_name(key.name) == name; };
        const auto names_section = [&](const Key& key) {
            return name.starts_with(environment_name(key.section()) + "_");
        };
        const auto key = std::ranges::find_if(keys(), names_key);
        if (key != keys().end())
            set(config, &*key, std::string(text.substr(equals + 1)), name);
        else if (std::ranges::any_of(keys(), names_section))
            fail(Exit::usage, "{}: unknown key", name);
    }
}

void read_overrides(Config& config, const std::vector<std::string>& overrides) {
    std::set<std::string> seen;
    for (const std::string& text : overrides) {
        const std::size_t equals = std::min(text.find('='), text.size());
        const std::string name = text.substr(0, equals);
        const Key* key = find_key(name);
        if (key && equals == text.size()) fail(Exit::usage, "--{}: expected --{}=VALUE", name, name);
        if (!seen.insert(name).second) fail(Exit::usage, "--{}: given twice", name);
        set(config, key, key ? text.substr(equals + 1) : "", "--" + name);
    }
}

}  // namespace

std::vector<Setting> settings(const Config& config) {
    std::vector<Setting> all;
    for (const Key& key : keys()) all.push_back({key.name, key.print(config)});
    return all;
}

bool is_identity(std::string_view name) {
    const Key* key = find_key(name);
    if (!key) fail(Exit::internal, "{}: no key of that name", name);
    return key->identity;
}

Config parse_config(std::string_view text, const std::string& name) {
    if (const std::string kind = what_it_is(text); !kind.empty()) fail(Exit::usage, "{}: {}", name, kind);
    Config config;
    IniReader(config, name).read(text);
    return config;
}

Config load_config(const std::string& file, const std::vector<std::string>& overrides) {
    Config config = file.empty() ? Config{} : parse_config(read_file(file), file);
    read_environment(config);
    read_overrides(config, overrides);
    return config;
}

std::string to_ini(const Config& config) {
    std::string text, section;
    for (const Key& key : keys()) {
        if (key.section() != section) text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", key.section());
        section = key.section();
        const std::string value = key.print(config);
        text += fmt::format("# {}\n{} ={}{}\n", key.meaning, key.short_name(), value.empty() ? "" : " ", value);
    }
    return text;
}

std::vector<int> parse_layers(const std::string& text, int layers) {
    const auto ranges = layer_ranges(text);
    if (!ranges) fail(Exit::usage, "sweep.layers: expected all, or layers such as 0-3,7, got '{}'", text);
    std::set<int> wanted;
    if (ranges->empty())
        for (int layer = 0; layer < layers; layer++) wanted.insert(layer);
    for (const auto& [first, last] : *ranges) {
        if (last >= layers)
            fail(Exit::usage, "sweep.layers: expected layers 0 to {} of this model, got {}", layers - 1, last);
        for (int layer = first; layer <= last; layer++) wanted.insert(layer);
    }
    return {wanted.begin(), wanted.end()};
}

std::optional<MemorySize> parse_memory(std::string_view text) {
    static constexpr std::pair<std::string_view, double> units[] = {{"%", 0.01},     {"kB", 1e3},     {"MB", 1e6},
                                                                    {"GB", 1e9},     {"TB", 1e12},    {"KiB", 0x1p10},
                                                                    {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    for (const auto& [unit, factor] : units) {
        if (!text.ends_with(unit)) continue;
        const std::string_view number = text.substr(0, text.size() - unit.size());
        double value = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
        if (error != std::errc() || end != number.data() + number.size() || !(value > 0) || !(value < 1e6)) continue;
        if (unit != "%") return MemorySize{static_cast<std::int64_t>(value * factor), 0};
        if (value <= 100) return MemorySize{0, value * factor};
    }
    return std::nullopt;
}

bool is_size(std::string_view memory) {
    const auto parsed = parse_memory(memory);
    return parsed && parsed->bytes > 0;
}

}  // namespace moesweep
