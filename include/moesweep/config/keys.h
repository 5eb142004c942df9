// Keys: a configuration is read from configs/*.ini < MOESWEEP_SECTION_KEY < --section.key=value, printed, checked and
// documented by walking one list of keys, each bound to the field that holds its value. configs/reference.ini documents
// every key with its default and unit; a test keeps the two equal.
//
// A method's configuration C has a function `Keys keys(C&)`, which lists the sections below and its own (KEY).
#pragma once
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moesweep/config/config.h"

namespace moesweep {

/// A key of a configuration, which must outlive it.
struct Key {
    std::string name;  ///< "section.key"
    /// Whether files of the run depend on it, so that it must not differ when a run goes on. The others may change: a
    /// path (what it leads to is known by its SHA-256), how work is divided, how finished rows are summed up.
    bool identity;
    std::string expected;  ///< what parse takes, in words
    std::string meaning;   ///< one line, with the unit
    std::function<std::string()> print;
    std::function<bool(const std::string&)> parse;  ///< false: not what is expected; the field is as before

    std::string section() const { return name.substr(0, name.find('.')); }
    std::string short_name() const { return name.substr(name.find('.') + 1); }
};
using Keys = std::vector<Key>;

// The sections that every method has.
Keys model_keys(RunConfig::Model& model);
Keys stats_keys(RunConfig::Stats& stats);
Keys parallel_keys(RunConfig::Parallel& parallel);
Keys run_keys(RunConfig::Run& run);
Keys joined(std::vector<Keys> sections);

// Kinds of keys. KEY(section.field) gives the first two arguments: a key is called as its field, so that the two cannot
// drift apart.
#define MOESWEEP_KEY(field) #field, field

inline constexpr bool part_of_identity = true, free_to_change = false;                     // Key::identity
inline constexpr std::int64_t most_of_a_count = std::numeric_limits<std::int32_t>::max();  // columns have 32 bits

/// A file or folder, or nothing; a leading ~ is the home folder.
Key path_key(const char* name, std::string& field, const char* meaning);
Key integer_key(const char* name, std::int64_t& field, bool identity, std::int64_t least, const char* meaning,
                std::int64_t greatest = most_of_a_count);
/// So far from the ends of its type that a case's number can be added.
Key seed_key(const char* name, std::int64_t& field, bool identity, const char* meaning);
/// What a number must be.
enum class Least { zero, above_zero, none };  ///< none: -inf is a value, too
Key number_key(const char* name, double& field, bool identity, Least least, const char* meaning);
/// A number from 0 to 1.
Key share_key(const char* name, double& field, bool identity, const char* meaning);
/// A number >= 0, or auto, for which the field is empty.
Key automatic_key(const char* name, std::optional<double>& field, bool identity, const char* meaning);
Key list_key(const char* name, NumberList<double>& field, bool identity, const char* meaning);
Key list_key(const char* name, NumberList<std::int64_t>& field, bool identity, const char* meaning);
Key layers_key(const char* name, LayerList& field, bool identity, const char* meaning);
/// Layers, or a word for which the field is empty.
Key layers_key(const char* name, std::optional<LayerList>& field, const char* otherwise, bool identity,
               const char* meaning);
/// Words as of parse_words().
Key words_key(const char* name, std::vector<std::string>& field, bool identity, const char* meaning);
/// Free text in one line: \n is a line's end, \t a tab, \r a carriage return, \\ a backslash, and \s a blank, which
/// is written so at an end.
Key text_key(const char* name, std::string& field, bool identity, const char* meaning);

/// One of a few words: `get` gives the index of the present one, `set` takes an index.
Key word_key(const char* name, bool identity, std::vector<const char*> words, const char* meaning,
             std::function<std::size_t()> get, std::function<void(std::size_t)> set);
/// An enumeration (or bool) whose values, from 0, go by these words.
template <class T>
Key choice_key(const char* name, T& field, bool is_identity, std::vector<const char*> words, const char* meaning) {
    return word_key(
        name, is_identity, std::move(words), meaning, [&field] { return static_cast<std::size_t>(field); },
        [&field](std::size_t index) { field = static_cast<T>(index); });
}

/// A key and its effective value as text (as it stands in config.ini).
struct Setting {
    std::string key;  ///< "section.key"
    std::string value;
    bool identity = true;
};

std::vector<Setting> settings(const Keys& keys);

/// The value of a key that is among them.
const std::string& value_of(const std::vector<Setting>& settings, const std::string& key);

/// The settings as INI without the sections run and parallel and without the keys `left_out`: what changes no number.
std::string number_changing_ini(const std::vector<Setting>& settings, const std::vector<std::string>& left_out);

/// The effective configuration, each key under its meaning, as an INI file that parse_ini reads back to the same
/// values.
std::string to_ini(const Keys& keys);

/// Reads an INI text alone, such as the config.ini of a run folder; `name` stands for it in messages. Errors as load().
void parse_ini(const Keys& keys, std::string_view text, const std::string& name);

/// Reads `file` (may be empty: none), then the environment's MOESWEEP_SECTION_KEY, then `overrides`
/// ("section.key=value"). Error(usage) for an unknown key, a value of the wrong type or out of range, a repeated key,
/// or a line that is neither [section], key = value nor a comment (a line that starts with # or ;). It opens with where
/// the mistake is: "configs/x.ini:12: noise.scale: ...", "MOESWEEP_NOISE_SCALE: ..." or "--noise.scale: ...".
/// Error(data): no such file. Variables that start with MOESWEEP_ but name no section (MOESWEEP_BUILD) are ignored.
/// Relative paths in a file stay relative to the working directory. A byte order mark in front of the file is skipped.
void load(const Keys& keys, const std::string& file, const std::vector<std::string>& overrides);

// The same for a method's configuration C.
template <class C>
std::vector<Setting> settings(const C& config) {
    C copy = config;
    return settings(keys(copy));
}
template <class C>
std::string to_ini(const C& config) {
    C copy = config;
    return to_ini(keys(copy));
}
template <class C>
C parse_config(std::string_view text, const std::string& name) {
    C config;
    parse_ini(keys(config), text, name);
    return config;
}
template <class C>
C load_config(const std::string& file, const std::vector<std::string>& overrides) {
    C config;
    load(keys(config), file, overrides);
    return config;
}

}  // namespace moesweep
