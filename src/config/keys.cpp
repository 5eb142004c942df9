#include "keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

constexpr bool identity = true, free_to_change = false;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();  // counts index 32-bit columns
constexpr std::int64_t widest_seed = std::int64_t{1} << 62;              // seed + case_id must not overflow

/// The whole text as a number in the C locale: no blanks, no plus sign, nothing after it.
template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// The numbers >= 0 of a list such as "1,2,4".
template <class T>
std::optional<std::vector<T>> numbers(std::string_view text) {
    std::vector<T> values;
    for (bool more = !text.empty(); more;) {
        const std::size_t comma = text.find(',');
        const auto value = parse_number<T>(text.substr(0, comma));
        if (!value || !(*value >= 0) || *value > most) return std::nullopt;
        values.push_back(*value);
        more = comma != text.npos;
        if (more) text.remove_prefix(comma + 1);
    }
    return values;
}

template <class T>
std::vector<T> checked_numbers(const std::string& text) {
    const auto values = numbers<T>(text);
    if (!values) fail(Exit::internal, "'{}': expected numbers separated by commas", text);
    return *values;
}

/// The shortest decimal that reads back as the same bits.
std::string print_number(double value) {
    std::array<char, 32> text;
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

template <class Get>
Key number(const char* name, Get get, bool is_id, double least, bool least_included, const char* meaning) {
    const std::string expected = least == -infinity
                                     ? (least_included ? "a number or -inf" : "a number")
                                     : fmt::format("a number {} {}", least_included ? ">=" : ">", print_number(least));
    const auto parse = [=](Config& config, const std::string& text) {
        const auto value = parse_number<double>(text);
        if (!value || std::isnan(*value) || *value == infinity) return false;
        if (*value < least || (*value == least && !least_included)) return false;
        get(config) = *value;
        return true;
    };
    return {name, is_id, expected, meaning, [=](const Config& c) { return print_number(get(c)); }, parse};
}

template <class Get>
Key integer(const char* name, Get get, bool is_id, std::int64_t least, std::int64_t greatest, const char* meaning) {
    const auto parse = [=](Config& config, const std::string& text) {
        const auto value = parse_number<std::int64_t>(text);
        if (!value || *value < least || *value > greatest) return false;
        get(config) = *value;
        return true;
    };
    return {name,
            is_id,
            fmt::format("a whole number from {} to {}", least, greatest),
            meaning,
            [=](const Config& c) { return std::to_string(get(c)); },
            parse};
}

template <class Get>
Key seed(const char* name, Get get, bool is_id, const char* meaning) {
    return integer(name, get, is_id, -widest_seed, widest_seed, meaning);
}

/// A file or folder, or nothing.
template <class Get>
Key path(const char* name, Get get, const char* meaning) {
    const auto parse = [=](Config& config, const std::string& value) {
        const auto whole = parse_path(value);
        if (whole) get(config) = *whole;
        return whole.has_value();
    };
    return {name,
            free_to_change,
            "a path as it is, without quotes or blanks around it, a comment behind it, $NAME or ~NAME",
            meaning,
            [=](const Config& c) { return get(c); },
            parse};
}

/// Numbers separated by commas, or nothing.
template <class T, class Get>
Key list(const char* name, Get get, bool is_id, const char* meaning) {
    const auto parse = [=](Config& config, const std::string& value) {
        if (!numbers<T>(value)) return false;
        get(config) = value;
        return true;
    };
    return {name, is_id, "numbers such as 1,2,4, or nothing", meaning, [=](const Config& c) { return get(c); }, parse};
}

/// One of a few words; `read` gives the index of the present one, `write` sets by index.
template <class Read, class Write>
Key word(const char* name, Read read, Write write, bool is_id, std::vector<const char*> words, const char* meaning) {
    std::string expected;
    for (const char* w : words) expected += (expected.empty() ? "" : " | ") + std::string(w);
    const auto parse = [=](Config& config, const std::string& value) {
        const auto at = std::ranges::find(words, value);
        if (at == words.end()) return false;
        write(config, at - words.begin());
        return true;
    };
    return {name, is_id, expected, meaning, [=](const Config& c) { return std::string(words[read(c)]); }, parse};
}

/// An enumeration (or bool) whose values, from 0, go by these words.
template <class Get>
Key choice(const char* name, Get get, bool is_id, std::vector<const char*> words, const char* meaning) {
    const auto read = [=](const Config& c) { return static_cast<std::size_t>(get(c)); };
    const auto write = [=](Config& c, auto index) {
        auto& field = get(c);
        field = static_cast<std::remove_reference_t<decltype(field)>>(index);
    };
    return word(name, read, write, is_id, std::move(words), meaning);
}

Key coalitions() {
    const auto read = [](const Config& c) {
        return std::size_t{c.sweep.coalition_clean} + 2 * c.sweep.coalition_union;
    };
    const auto write = [](Config& c, auto index) {
        c.sweep.coalition_clean = index & 1;
        c.sweep.coalition_union = index & 2;
    };
    return word("sweep.coalitions", read, write, identity, {"none", "clean", "union", "clean,union"},
                "routed experts patched together: the clean top-k, the union of both runs' top-k");
}

Key layers() {
    const auto parse = [](Config& config, const std::string& value) {
        if (!layer_ranges(value)) return false;
        config.sweep.layers = value;
        return true;
    };
    return {"sweep.layers",
            identity,
            "all, or layers such as 0-3,7",
            "decoder layers to patch, from 0: all, or layers such as 0-3,7",
            [](const Config& c) { return c.sweep.layers; },
            parse};
}

Key subset_layers() {
    const auto parse = [](Config& config, const std::string& value) {
        if (value != "selected" && !layer_ranges(value)) return false;
        config.sweep.subset_layers = value;
        return true;
    };
    return {"sweep.subset_layers",
            identity,
            "selected, all, or layers such as 0-3,7",
            "layers whose subsets are patched: selected (the selected one), all, or layers such as 0-3,7",
            [](const Config& c) { return c.sweep.subset_layers; },
            parse};
}

Key expert_ranks() {
    const auto parse = [](Config& config, const std::string& value) {
        const auto ranks = parse_number<std::int64_t>(value);
        if (value != "auto" && (!ranks || *ranks < 1 || *ranks > most)) return false;
        config.parallel.experts = value;
        return true;
    };
    return {"parallel.experts",
            free_to_change,
            "auto or a whole number >= 1",
            "ranks that share one copy of the model, each with a part of the experts: a number, or auto (as few as "
            "run.memory allows, within a node)",
            [](const Config& c) { return c.parallel.experts; },
            parse};
}

Key memory() {
    const auto parse = [](Config& config, const std::string& value) {
        if (value != "auto" && !parse_memory(value)) return false;
        config.run.memory = value;
        return true;
    };
    return {"run.memory",
            free_to_change,
            "auto, or a number with % or kB, MB, GB, TB, KiB, MiB, GiB, TiB",
            "memory of a rank: a size such as 1GB or 800MiB, a share such as 60% of what the rank may have, or auto "
            "(80%)",
            [](const Config& c) { return c.run.memory; },
            parse};
}

}  // namespace

std::optional<std::vector<std::pair<int, int>>> layer_ranges(std::string_view text) {
    std::vector<std::pair<int, int>> ranges;
    if (text == "all") return ranges;
    for (bool more = true; more;) {
        const std::size_t comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const std::size_t dash = item.find('-');
        const auto first = parse_number<int>(item.substr(0, dash));
        const auto last = dash == item.npos ? first : parse_number<int>(item.substr(dash + 1));
        if (!first || !last || *first < 0 || *last < *first) return std::nullopt;
        ranges.emplace_back(*first, *last);
        more = comma != text.npos;
        if (more) text.remove_prefix(comma + 1);
    }
    return ranges;
}

std::vector<double> parse_numbers(const std::string& text) {
    return checked_numbers<double>(text);
}

std::vector<std::int64_t> parse_integers(const std::string& text) {
    return checked_numbers<std::int64_t>(text);
}

// A key is called as its field in Config is, so that the two cannot drift apart.
// clang-format off
#define KEY(field) #field, [](auto& config) -> auto& { return config.field; }
// clang-format on

const std::vector<Key>& keys() {
    static const std::vector<Key> table = {
        path(KEY(model.path), "folder of a Hugging Face checkpoint; a run needs one"),
        choice(KEY(model.precision), identity, {"auto", "fp32", "fp64", "split", "fast", "parity"},
               "arithmetic: fp32, fp64, or on bf16 matrices split (as fp32), fast, parity (as transformers); auto: "
               "split on GPUs"),
        choice(KEY(model.bos), identity, {"auto", "yes", "no"},
               "BOS token before each prompt: auto (as the tokenizer does by default), yes or no"),
        choice(KEY(model.weights), free_to_change, {"auto", "resident", "streamed"},
               "where a rank keeps its part of the model: resident (in memory), streamed (read layer by layer in each "
               "pass) or auto (resident if run.memory holds it)"),

        path(KEY(cases.path), "facts in CounterFact's JSON (ROME layout); a run needs them"),
        seed(KEY(cases.seed), identity, "seed of the record order and of the split, as CPython's random.Random(seed)"),
        integer(KEY(cases.limit), identity, 0, most, "usable cases wanted, 0 = all"),
        number(KEY(cases.clean_margin), identity, -infinity, true,
               "least delta of the clean run, in logits; -inf = off"),
        number(KEY(cases.noise_drop), identity, -infinity, true,
               "least fall of delta from the clean to the noised run, in logits; -inf = off"),
        integer(KEY(cases.discovery), free_to_change, 1, most,
                "usable cases in the discovery half; the others validate"),
        choice(KEY(cases.object_token), identity, {"leading-space", "bare-or-space"},
               "how an object becomes one token: leading-space (as after a blank), or bare-or-space (bare if that is "
               "one token)"),

        number(KEY(noise.scale), identity, 0, true,
               "sigma of the noise, in standard deviations of the embedding matrix"),
        seed(KEY(noise.seed), identity, "a case draws its noise from noise.seed + case_id"),

        integer(KEY(noise.draws), free_to_change, 1, 1000,
                "draws of the noise, each swept: draw d of a case uses noise.seed + case_id + d x 2^22"),
        list<double>(KEY(noise.scales), free_to_change,
                     "further scales of the noise to sweep (Table 13), such as 1,2,4; empty = none"),

        layers(),
        choice(KEY(sweep.blocks), identity, {"no", "yes"}, "patch each layer's whole MoE output: yes or no"),
        choice(KEY(sweep.experts), identity, {"none", "clean", "union"},
               "experts patched one by one: none, clean (routed in the clean run), union (in either run)"),
        coalitions(),
        choice(KEY(sweep.subsets), identity, {"none", "all"},
               "patch every subset of the clean top-k, for exact Shapley values: none or all"),
        subset_layers(),

        integer(KEY(select.recurrence), free_to_change, 1, most,
                "discovery cases in which a candidate expert must be clean-active"),

        integer(KEY(controls.random), free_to_change, 0, 127, "other clean-active experts drawn per case as controls"),
        seed(KEY(controls.seed), free_to_change, "a case draws its controls from controls.seed + case_id"),
        choice(KEY(controls.equal_norm), free_to_change, {"no", "yes"},
               "patch the selected expert and its gate-matched control at equal norm (Tables 9 and 11): yes or no"),

        integer(KEY(scale_up.limit), identity, 0, most,
                "cases of the relaxed study (Tables 14 and 15), 0 = no such study"),
        number(KEY(scale_up.clean_margin), identity, -infinity, true, "its least delta of the clean run, in logits"),
        number(KEY(scale_up.noise_drop), identity, -infinity, true, "its least fall of delta, in logits"),
        integer(KEY(scale_up.discovery), free_to_change, 1, most,
                "its cases in the discovery half; the others validate"),
        integer(KEY(scale_up.recurrence), free_to_change, 1, most,
                "its discovery cases in which a candidate expert must be clean-active"),

        list<std::int64_t>(KEY(stability.split_seeds), free_to_change,
                           "seeds of the splits under which the selection is repeated"),
        list<std::int64_t>(KEY(stability.thresholds), free_to_change,
                           "recurrence thresholds under which it is repeated"),
        integer(KEY(stability.folds), free_to_change, 2, most,
                "folds of relations, each held out from the selection once"),

        integer(KEY(stats.bootstrap), free_to_change, 1, most, "resamples of a bootstrap interval"),
        integer(KEY(stats.sign_flips), free_to_change, 1, most, "samples of a sign-flip p value"),
        seed(KEY(stats.seed), free_to_change, "seed of the bootstrap and of the sign flips"),

        expert_ranks(),

        path(KEY(run.out), "the run's folder; a run needs one"),
        integer(KEY(run.unit), identity, 1, most,
                "cases computed and committed together; changes no number, but names the unit files"),
        choice(KEY(run.device), identity, {"auto", "cpu", "cuda"},
               "where the model runs: cpu, cuda (a GPU a rank) or auto (cuda where every rank sees a GPU)"),
        choice(KEY(run.log), free_to_change, {"no", "yes"}, "write log/rank-N.log: yes or no"),
        number(KEY(run.progress), free_to_change, 0, false,
               "seconds between progress lines when the output is no terminal"),
        memory(),
        number(KEY(run.max_hours), free_to_change, 0, true,
               "stop in time to have committed everything within so many hours; 0 = no limit"),
        number(KEY(run.watchdog), free_to_change, 0, true,
               "seconds without any progress after which a rank ends the run; 0 = never"),

        choice(KEY(store.vectors), identity, {"none", "outputs", "patches"},
               "vectors kept: none, outputs (clean and noised MoE outputs), patches (one per row)"),
    };
    return table;
}

#undef KEY

}  // namespace moesweep
