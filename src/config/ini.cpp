#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "moesweep/base/error.h"
#include "moesweep/base/file_signs.h"
#include "moesweep/base/files.h"
#include "moesweep/config/keys.h"

namespace moesweep {
namespace {

const Key* find_key(const Keys& keys, std::string_view name) {
    const auto at = std::ranges::find(keys, name, &Key::name);
    return at == keys.end() ? nullptr : &*at;
}

bool is_section(const Keys& keys, std::string_view name) {
    return std::ranges::any_of(keys, [&](const Key& key) { return key.section() == name; });
}

/// Sets one key. `where` opens the message and ends with what names the key.
void set(const Key* key, const std::string& value, const std::string& where) {
    if (!key) fail(Exit::usage, "{}: unknown key", where);
    if (!key->parse(value)) fail(Exit::usage, "{}: expected {}, got '{}'", where, key->expected, value);
}

std::string_view trim(std::string_view text) {
    constexpr const char* blank = " \t\r";
    const std::size_t begin = text.find_first_not_of(blank);
    return begin == text.npos ? text.substr(0, 0) : text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/// One INI file, line by line, because a mistake is named by its line.
class IniReader {
  public:
    IniReader(const Keys& keys, const std::string& name) : keys_(keys), name_(name) {}

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
        if (!is_section(keys_, section)) fail(Exit::usage, "{}:{}: [{}]: unknown section", name_, line_, section);
        section_ = section;
    }

    void set_key(const std::string& key, const std::string& value) {
        if (section_.empty()) fail(Exit::usage, "{}:{}: {}: stands before the first [section]", name_, line_, key);
        const std::string full = section_ + "." + key;
        const auto [first, is_new] = lines_.emplace(full, line_);
        if (!is_new) fail(Exit::usage, "{}:{}: {}: set twice, first in line {}", name_, line_, full, first->second);
        set(find_key(keys_, full), value, fmt::format("{}:{}: {}", name_, line_, full));
    }

    const Keys& keys_;
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
void read_environment(const Keys& keys) {
    for (char** entry = environ; *entry; entry++) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (!text.starts_with("MOESWEEP_") || equals == text.npos) continue;
        const std::string name(text.substr(0, equals));
        const auto names_key = [&](const Key& key) { return environment_name(key.name) == name; };
        const auto names_section = [&](const Key& key) {
            return name.starts_with(environment_name(key.section()) + "_");
        };
        const auto key = std::ranges::find_if(keys, names_key);
        if (key != keys.end())
            set(&*key, std::string(text.substr(equals + 1)), name);
        else if (std::ranges::any_of(keys, names_section))
            fail(Exit::usage, "{}: unknown key", name);
    }
}

void read_overrides(const Keys& keys, const std::vector<std::string>& overrides) {
    std::set<std::string> seen;
    for (const std::string& text : overrides) {
        const std::size_t equals = std::min(text.find('='), text.size());
        const std::string name = text.substr(0, equals);
        const Key* key = find_key(keys, name);
        if (key && equals == text.size()) fail(Exit::usage, "--{}: expected --{}=VALUE", name, name);
        if (!seen.insert(name).second) fail(Exit::usage, "--{}: given twice", name);
        set(key, key ? text.substr(equals + 1) : "", "--" + name);
    }
}

}  // namespace

std::vector<Setting> settings(const Keys& keys) {
    std::vector<Setting> all;
    for (const Key& key : keys) all.push_back({key.name, key.print(), key.identity});
    return all;
}

void parse_ini(const Keys& keys, std::string_view text, const std::string& name) {
    if (const std::string kind = what_it_is(text); !kind.empty()) fail(Exit::usage, "{}: {}", name, kind);
    IniReader(keys, name).read(text);
}

void load(const Keys& keys, const std::string& file, const std::vector<std::string>& overrides) {
    if (!file.empty()) parse_ini(keys, read_file(file), file);
    read_environment(keys);
    read_overrides(keys, overrides);
}

const std::string& value_of(const std::vector<Setting>& settings, const std::string& key) {
    return std::ranges::find(settings, key, &Setting::key)->value;
}

std::string number_changing_ini(const std::vector<Setting>& settings, const std::vector<std::string>& left_out) {
    std::string ini, open_section;
    for (const auto& [key, value, is_identity] : settings) {
        const std::string section = key.substr(0, key.find('.'));
        if (section == "run" || section == "parallel" || std::ranges::find(left_out, key) != left_out.end()) continue;
        if (section != open_section) ini += fmt::format("[{}]\n", section);
        open_section = section;
        ini += fmt::format("{} = {}\n", key.substr(section.size() + 1), value);
    }
    return ini;
}

std::string to_ini(const Keys& keys) {
    std::string text, section;
    for (const Key& key : keys) {
        if (key.section() != section) text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", key.section());
        section = key.section();
        const std::string value = key.print();
        text += fmt::format("# {}\n{} ={}{}\n", key.meaning, key.short_name(), value.empty() ? "" : " ", value);
    }
    return text;
}

}  // namespace moesweep
