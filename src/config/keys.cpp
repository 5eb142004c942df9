#include "moesweep/config/keys.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "moesweep/base/error.h"
#include "paths.h"

namespace moesweep {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t widest_seed = std::int64_t{1} << 62;  // seed + an item's number must not overflow

/// The shortest decimal that reads back as the same bits.
std::string print_number(double value) {
    std::array<char, 32> text;
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// A key whose field knows how to parse and to print itself.
template <class Value>
Key value_key(const char* name, Value& field, bool is_identity, const char* expected, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto value = Value::parse(text);
        if (value) field = *value;
        return value.has_value();
    };
    return {name, is_identity, expected, meaning, [&field] { return field.text(); }, parse};
}

/// A whole number from 1, or auto.
Key automatic_key(const char* name, std::optional<std::int64_t>& field, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto value = parse_number<std::int64_t>(text);
        if (text != "auto" && (!value || *value < 1 || *value > most_of_a_count)) return false;
        field = value;
        return true;
    };
    const auto print = [&field] { return field ? std::to_string(*field) : "auto"; };
    return {name, free_to_change, "auto or a whole number >= 1", meaning, print, parse};
}

/// What stands behind a backslash in a text, and what it means.
constexpr std::pair<char, char> escapes[] = {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'s', ' '}, {'\\', '\\'}};

std::optional<std::string> parse_text(const std::string& text) {
    std::string value;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            value += text[i];
            continue;
        }
        const char letter = ++i < text.size() ? text[i] : '\0';
        const auto escape = std::ranges::find(escapes, letter, [](const auto& pair) { return pair.first; });
        if (escape == std::end(escapes)) return std::nullopt;
        value += escape->second;
    }
    return value;
}

std::string print_text(const std::string& value) {
    std::string text;
    for (std::size_t i = 0; i < value.size(); i++) {
        const bool inner_blank = value[i] == ' ' && i > 0 && i + 1 < value.size();
        const auto escape = std::ranges::find(escapes, value[i], [](const auto& pair) { return pair.second; });
        if (inner_blank || escape == std::end(escapes))
            text += value[i];
        else
            text += {'\\', escape->first};
    }
    return text;
}

}  // namespace

Key path_key(const char* name, std::string& field, const char* meaning) {
    const auto parse = [&field](const std::string& value) {
        const auto whole = parse_path(value);
        if (whole) field = *whole;
        return whole.has_value();
    };
    return {name,
            free_to_change,
            "a path as it is, without quotes or blanks around it, a comment behind it, $NAME or ~NAME",
            meaning,
            [&field] { return field; },
            parse};
}

Key integer_key(const char* name, std::int64_t& field, bool is_identity, std::int64_t least, const char* meaning,
                std::int64_t greatest) {
    const auto parse = [&field, least, greatest](const std::string& text) {
        const auto value = parse_number<std::int64_t>(text);
        if (!value || *value < least || *value > greatest) return false;
        field = *value;
        return true;
    };
    return {name,
            is_identity,
            fmt::format("a whole number from {} to {}", least, greatest),
            meaning,
            [&field] { return std::to_string(field); },
            parse};
}

Key seed_key(const char* name, std::int64_t& field, bool is_identity, const char* meaning) {
    return integer_key(name, field, is_identity, -widest_seed, meaning, widest_seed);
}

Key number_key(const char* name, double& field, bool is_identity, Least least, const char* meaning) {
    const auto parse = [&field, least](const std::string& text) {
        const auto value = parse_number<double>(text);
        if (!value || std::isnan(*value) || *value == infinity) return false;
        if (least != Least::none && (*value < 0 || (*value == 0 && least == Least::above_zero))) return false;
        field = *value;
        return true;
    };
    const char* expected = least == Least::none   ? "a number or -inf"
                           : least == Least::zero ? "a number >= 0"
                                                  : "a number > 0";
    return {name, is_identity, expected, meaning, [&field] { return print_number(field); }, parse};
}

Key share_key(const char* name, double& field, bool is_identity, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto value = parse_number<double>(text);
        if (!value || !(*value >= 0 && *value <= 1)) return false;
        field = *value;
        return true;
    };
    return {name, is_identity, "a number from 0 to 1", meaning, [&field] { return print_number(field); }, parse};
}

Key automatic_key(const char* name, std::optional<double>& field, bool is_identity, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto value = parse_number<double>(text);
        if (text != "auto" && (!value || !(*value >= 0 && *value < infinity))) return false;
        field = value;
        return true;
    };
    const auto print = [&field] { return field ? print_number(*field) : "auto"; };
    return {name, is_identity, "auto or a number >= 0", meaning, print, parse};
}

Key list_key(const char* name, NumberList<double>& field, bool is_identity, const char* meaning) {
    return value_key(name, field, is_identity, "numbers such as 1,2,4, or nothing", meaning);
}

Key list_key(const char* name, NumberList<std::int64_t>& field, bool is_identity, const char* meaning) {
    return value_key(name, field, is_identity, "numbers such as 1,2,4, or nothing", meaning);
}

Key layers_key(const char* name, LayerList& field, bool is_identity, const char* meaning) {
    return value_key(name, field, is_identity, "all, or layers such as 0-3,7", meaning);
}

Key layers_key(const char* name, std::optional<LayerList>& field, const char* otherwise, bool is_identity,
               const char* meaning) {
    const auto parse = [&field, otherwise](const std::string& text) {
        const auto layers = LayerList::parse(text);
        if (text != otherwise && !layers) return false;
        field = layers;
        return true;
    };
    const auto print = [&field, otherwise] { return field ? field->text() : otherwise; };
    return {name, is_identity, fmt::format("{}, all, or layers such as 0-3,7", otherwise), meaning, print, parse};
}

Key words_key(const char* name, std::vector<std::string>& field, bool is_identity, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto words = parse_words(text);
        if (words) field = *words;
        return words.has_value();
    };
    const auto print = [&field] { return fmt::format("{}", fmt::join(field, ",")); };
    return {name, is_identity, "different words such as a,b,c, or nothing", meaning, print, parse};
}

Key text_key(const char* name, std::string& field, bool is_identity, const char* meaning) {
    const auto parse = [&field](const std::string& text) {
        const auto value = parse_text(text);
        if (value) field = *value;
        return value.has_value();
    };
    return {name,
            is_identity,
            "a text with a backslash only in \\n, \\t, \\r, \\s and \\\\",
            meaning,
            [&field] { return print_text(field); },
            parse};
}

Key word_key(const char* name, bool is_identity, std::vector<const char*> words, const char* meaning,
             std::function<std::size_t()> get, std::function<void(std::size_t)> set) {
    std::string expected;
    for (const char* word : words) expected += (expected.empty() ? "" : " | ") + std::string(word);
    const auto print = [words, get] { return std::string(words[get()]); };
    const auto parse = [words, set](const std::string& value) {
        const auto at = std::ranges::find(words, value);
        if (at == words.end()) return false;
        set(static_cast<std::size_t>(at - words.begin()));
        return true;
    };
    return {name, is_identity, expected, meaning, print, parse};
}

Keys model_keys(RunConfig::Model& model) {
    return {
        path_key(MOESWEEP_KEY(model.path), "folder of a Hugging Face checkpoint; a run needs one"),
        choice_key(MOESWEEP_KEY(model.precision), part_of_identity, {"auto", "fp32", "fp64", "split", "fast", "parity"},
                   "arithmetic: fp32, fp64, or on bf16 matrices split (as fp32), fast, parity (as transformers); auto: "
                   "split on GPUs"),
        choice_key(MOESWEEP_KEY(model.bos), part_of_identity, {"auto", "yes", "no"},
                   "BOS token before each prompt: auto (as the tokenizer does by default), yes or no"),
        choice_key(MOESWEEP_KEY(model.weights), free_to_change, {"auto", "resident", "streamed"},
                   "where a rank keeps its part of the model: resident (in memory), streamed (read layer by layer in "
                   "each pass) or auto (resident if run.memory holds it)"),
    };
}

Keys stats_keys(RunConfig::Stats& stats) {
    return {
        integer_key(MOESWEEP_KEY(stats.bootstrap), free_to_change, 1, "resamples of a bootstrap interval"),
        integer_key(MOESWEEP_KEY(stats.sign_flips), free_to_change, 1, "samples of a sign-flip p value"),
        seed_key(MOESWEEP_KEY(stats.seed), free_to_change, "seed of the bootstrap and of the sign flips"),
    };
}

Keys parallel_keys(RunConfig::Parallel& parallel) {
    return {automatic_key(
        MOESWEEP_KEY(parallel.experts),
        "ranks that share one copy of the model, each with a part of the experts: a number, or auto (as few as "
        "run.memory allows, within a node)")};
}

Keys run_keys(RunConfig::Run& run) {
    return {
        path_key(MOESWEEP_KEY(run.out), "the run's folder; a run needs one"),
        integer_key(MOESWEEP_KEY(run.unit), part_of_identity, 1,
                    "cases or trials computed and committed together; changes no number, but names the unit files"),
        choice_key(MOESWEEP_KEY(run.device), part_of_identity, {"auto", "cpu", "cuda"},
                   "where the model runs: cpu, cuda (a GPU a rank) or auto (cuda where every rank sees a GPU)"),
        choice_key(MOESWEEP_KEY(run.log), free_to_change, {"no", "yes"}, "write log/rank-N.log: yes or no"),
        number_key(MOESWEEP_KEY(run.progress), free_to_change, Least::above_zero,
                   "seconds between progress lines when the output is no terminal"),
        value_key(MOESWEEP_KEY(run.memory), free_to_change,
                  "auto, or a number with % or kB, MB, GB, TB, KiB, MiB, GiB, TiB",
                  "memory of a rank: a size such as 1GB or 800MiB, a share such as 60% of what the rank may have, or "
                  "auto (80%)"),
        number_key(MOESWEEP_KEY(run.max_hours), free_to_change, Least::zero,
                   "stop in time to have committed everything within so many hours; 0 = no limit"),
        number_key(MOESWEEP_KEY(run.watchdog), free_to_change, Least::zero,
                   "seconds without any progress after which a rank ends the run; 0 = never"),
    };
}

Keys joined(std::vector<Keys> sections) {
    Keys all;
    for (Keys& section : sections) std::ranges::move(section, std::back_inserter(all));
    return all;
}

}  // namespace moesweep
