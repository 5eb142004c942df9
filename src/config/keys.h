// The one table of keys: reading, printing, checking and documenting a configuration all walk it.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "moesweep/config/config.h"

namespace moesweep {

struct Key {
    std::string name;      ///< "section.key"
    bool identity;         ///< see is_identity
    std::string expected;  ///< what parse takes, in words
    std::string meaning;   ///< one line, with the unit
    std::function<std::string(const Config&)> print;
    std::function<bool(Config&, const std::string&)> parse;  ///< false: not what is expected; the Config is as before

    std::string section() const { return name.substr(0, name.find('.')); }
    std::string short_name() const { return name.substr(name.find('.') + 1); }
};

/// All keys, section by section, in the order of configs/reference.ini.
const std::vector<Key>& keys();

/// sweep.layers as closed ranges, "all" as none; nothing where the text is no list of layers.
std::optional<std::vector<std::pair<int, int>>> layer_ranges(std::string_view text);

/// A path with its leading ~ expanded; nothing where it holds what a shell or another reader of files would have taken
/// off or replaced (quotes, a comment, $NAME), for then a folder of that name is not what is meant.
std::optional<std::string> parse_path(const std::string& text);

}  // namespace moesweep
