// Seeded random runs for the store's tests: cases, and the tables of any range of them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "moesweep/store/store.h"
#include "moesweep/tracing/scan_file.h"
#include "moesweep/tracing/tables.h"

namespace moesweep {

inline TracingConfig some_config(std::int64_t unit = 16) {
    TracingConfig config;
    config.run.unit = unit;
    return config;
}

/// What a run of that configuration is, its keys' defaults known.
inline Identity some_identity(const TracingConfig& config = some_config()) {
    Identity identity;
    const auto now = settings(config), defaults = settings(TracingConfig{});
    for (std::size_t i = 0; i < now.size(); ++i)
        if (now[i].identity) identity.push_back({now[i].key, now[i].value, defaults[i].value});
    for (const auto& [key, digit] :
         {std::pair{"weights_sha256", 'a'}, {"tokenizer_sha256", 'b'}, {"facts_sha256", 'c'}})
        identity.push_back({key, std::string(64, digit)});
    return identity;
}
inline std::string& value_of(Identity& identity, const std::string& key) {
    return std::ranges::find(identity, key, &IdentityLine::key)->value;
}

/// Scanned records with texts of all lengths, every status, and token counts from 0.
inline std::vector<Case> random_cases(std::size_t n, std::uint32_t seed) {
    std::mt19937 random(seed);
    const std::string letters[] = {"a", " ", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x99\x82", "\"", "\n"};
    const auto text = [&] {
        std::string result;
        for (auto length = random() % 12; length > 0; --length) result += letters[random() % 7];
        return result;
    };
    std::vector<Case> cases(n);
    for (Case& c : cases) {
        c.record = static_cast<std::int32_t>(random() % 20000);
        c.fact = {static_cast<std::int64_t>(random()) << 8, text(), text(), text(), text(), text()};
        c.status = static_cast<Status>(random() % std::size(status_names));
        c.split = static_cast<Split>(random() % std::size(split_names));
        c.relaxed_split = static_cast<Split>(random() % std::size(split_names));
        for (auto length = random() % 20; length > 0; --length)
            c.tokens.push_back(static_cast<std::int32_t>(random() % 150000));
        c.subject_end = static_cast<std::int32_t>(random() % (c.tokens.size() + 1));
        c.subject_begin = static_cast<std::int32_t>(random() % (static_cast<std::uint32_t>(c.subject_end) + 1));
        c.true_id = static_cast<std::int32_t>(random() % 1000) - 1;
        c.foil_id = static_cast<std::int32_t>(random() % 1000) - 1;
        c.delta_clean = static_cast<double>(random()) / 1e9 - 2;
        c.delta_noised = static_cast<double>(random()) / 1e9 - 2;
    }
    return cases;
}

/// The lines of one case, which depend only on its index and `k`: 3 layers, both runs, every kind.
inline UnitTables tables_of_case(std::int32_t index, std::int32_t k, const std::string& vectors, std::int32_t width) {
    std::mt19937 random(static_cast<std::uint32_t>(index) + 1000);
    const auto real = [&] { return static_cast<float>(random()) / 1e9f - 2; };
    UnitTables t{{index, index + 1}, {{index}, {real()}, {real()}}, {}, {}};
    t.routing.k = k;
    for (std::int32_t layer = 0; layer < 3; ++layer) {
        for (const RunKind run : {RunKind::clean, RunKind::noised}) {
            t.routing.case_index.push_back(index);
            t.routing.layer.push_back(layer);
            t.routing.run.push_back(run);
            t.routing.gap.push_back(layer == 0 ? std::numeric_limits<float>::infinity() : real());
            for (std::int32_t slot = 0; slot < k; ++slot) {
                t.routing.expert.push_back(static_cast<std::int32_t>(random() % 64));
                t.routing.weight.push_back(real());
                t.routing.contribution_norm.push_back(real());
            }
        }
        for (std::size_t name = 0; name < std::size(kind_names); ++name) {
            const auto kind = static_cast<Kind>(name);
            const bool of_expert = kind == Kind::expert || kind == Kind::equal_norm;
            const std::int32_t lines = of_expert              ? static_cast<std::int32_t>(random() % 9)
                                       : kind == Kind::subset ? (1 << k) - 1
                                                              : 1;
            for (std::int32_t line = 0; line < lines; ++line) {
                t.rows.case_index.push_back(index);
                t.rows.layer.push_back(layer);
                t.rows.kind.push_back(kind);
                t.rows.expert.push_back(of_expert ? line : -1);
                t.rows.members.push_back(kind == Kind::subset ? line + 1 : 0);
                t.rows.scale.push_back(kind == Kind::equal_norm ? real() : 1);
                t.rows.patch_norm.push_back(real());
                t.rows.clean_active.push_back(static_cast<std::int8_t>(random() % 2));
                t.rows.noised_active.push_back(static_cast<std::int8_t>(random() % 2));
                t.rows.delta.push_back(real());
                t.rows.rescue.push_back(static_cast<double>(random()) / 3e9);
            }
        }
    }
    const auto fill = [&](std::int32_t& column_width, std::vector<float>& column, std::size_t lines) {
        column_width = width;
        for (std::size_t i = 0; i < lines * static_cast<std::size_t>(width); ++i) column.push_back(real());
    };
    if (vectors == "patch") fill(t.rows.patch_width, t.rows.patch, t.rows.size());
    if (vectors == "output") fill(t.routing.output_width, t.routing.output, t.routing.size());
    return t;
}

/// The tables of cases [begin, end). `vectors` is "", "patch" or "output".
inline UnitTables tables_of_cases(std::int32_t begin, std::int32_t end, const std::string& vectors = "",
                                  std::int32_t k = 4, std::int32_t width = 8) {
    UnitTables joined{{begin, end}, {}, {}, {}};
    joined.routing.k = k;
    if (vectors == "patch") joined.rows.patch_width = width;
    if (vectors == "output") joined.routing.output_width = width;
    for (std::int32_t index = begin; index < end; ++index)
        append_tables(joined, tables_of_case(index, k, vectors, width));
    return joined;
}

inline bool same_case(const Case& a, const Case& b) {
    const auto fact = [](const Fact& f) {
        return std::tie(f.case_id, f.relation, f.subject, f.prompt, f.true_text, f.foil_text);
    };
    const auto rest = [](const Case& c) {
        return std::tie(c.record, c.status, c.split, c.relaxed_split, c.tokens, c.subject_begin, c.subject_end,
                        c.true_id, c.foil_id, c.delta_clean, c.delta_noised);
    };
    return fact(a.fact) == fact(b.fact) && rest(a) == rest(b);
}

inline std::vector<std::string> entries(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace moesweep
