// Runs written by hand, for the tests of the study.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "moesweep/tracing/study.h"

namespace moesweep {

/// Builds a run line by line.
struct HandRun {
    TracingConfig config;
    std::vector<Case> cases;
    BaseTable base;
    RoutingTable routing;
    RowTable rows;
    struct Noised {
        double scale;
        std::int32_t draw;
        UnitTables tables;
    };
    std::vector<Noised> conditions;
    RowTable controls;
    std::int32_t experts;

    HandRun(std::int32_t experts_, std::int32_t k, std::int64_t discovery, std::int64_t recurrence)
        : experts(experts_) {
        routing.k = k;
        config.cases.discovery = discovery;
        config.select.recurrence = recurrence;
        config.stats = {200, 200, 0};
    }

    std::int32_t add_case(Split split, std::int64_t case_id = 0) {
        Case c{};
        c.fact.case_id = case_id;
        c.split = split;
        c.status = split == Split::none ? Status::clean_margin_too_small : Status::usable;
        cases.push_back(c);
        const auto index = static_cast<std::int32_t>(cases.size()) - 1;
        base.case_index.push_back(index);
        base.delta_clean.push_back(2);
        base.delta_noised.push_back(0);
        return index;
    }

    void route(std::int32_t c, std::int32_t layer, const std::vector<std::int32_t>& clean,
               const std::vector<std::int32_t>& noised) {
        for (auto run : {RunKind::clean, RunKind::noised}) {
            routing.case_index.push_back(c);
            routing.layer.push_back(layer);
            routing.run.push_back(run);
            const auto& routed = run == RunKind::clean ? clean : noised;
            REQUIRE(routed.size() == static_cast<std::size_t>(routing.k));
            routing.expert.insert(routing.expert.end(), routed.begin(), routed.end());
            routing.weight.insert(routing.weight.end(), routed.size(), 0.5f);
            routing.contribution_norm.insert(routing.contribution_norm.end(), routed.size(), 1.0f);
            routing.gap.push_back(1);
        }
    }

    void row(std::int32_t c, std::int32_t layer, Kind kind, double rescue, std::int32_t expert = -1,
             bool clean_active = false) {
        add_row(rows, c, layer, kind, rescue, expert, clean_active);
    }

    static void add_row(RowTable& rows, std::int32_t c, std::int32_t layer, Kind kind, double rescue,
                        std::int32_t expert = -1, bool clean_active = false, std::int32_t members = 0) {
        rows.case_index.push_back(c);
        rows.layer.push_back(layer);
        rows.kind.push_back(kind);
        rows.expert.push_back(expert);
        rows.members.push_back(members);
        rows.scale.push_back(1);
        rows.patch_norm.push_back(1);
        rows.clean_active.push_back(clean_active);
        rows.noised_active.push_back(kind == Kind::expert && !clean_active);
        rows.delta.push_back(rescue);
        rows.rescue.push_back(rescue);
    }

    /// Adds a block row, routing, and a row for each clean-active expert; `rescues` belong to `clean`.
    void layer(std::int32_t c, std::int32_t l, double block, const std::vector<std::int32_t>& clean,
               const std::vector<double>& rescues) {
        route(c, l, clean, clean);
        row(c, l, Kind::block, block);
        for (std::size_t i = 0; i < clean.size(); ++i) row(c, l, Kind::expert, rescues.at(i), clean[i], true);
    }

    StudyData data() const {
        const auto view = [&](const UnitTables& tables) {
            SweepView sweep(cases.size(), experts);
            sweep.add(tables);
            return sweep;
        };
        StudyData all{cases, experts, view({{}, base, routing, rows}), {}};
        all.sweep.add_controls(controls);
        for (const auto& [scale, draw, tables] : conditions) all.conditions.push_back({scale, draw, view(tables)});
        return all;
    }
    StudyResults results() const { return run_study(config, data()); }
    Study study() const { return results().study; }
};

inline const Summary& line(const Study& study, const std::string& name) {
    for (const auto& l : study.main_results) {
        if (l.name == name) return l.summary;
    }
    FAIL("main_results has no line " << name);
    return study.main_results.front().summary;
}

inline bool has_line(const Study& study, const std::string& name) {
    return std::ranges::any_of(study.main_results, [&](const auto& l) { return l.name == name; });
}

/// Discovery 4 and validation 3 cases, layers 2 and 5, E = 5, k = 3; layer 5 and expert 1 win.
inline HandRun small() {
    HandRun run(5, 3, 4, 3);
    run.config.controls.random = 2;
    for (std::int32_t c = 0; c < 4; ++c) {
        run.add_case(Split::discovery, c);
        run.layer(c, 2, 0.5, {0, 1, 2}, {0.1, 0.1, 0.1});
    }
    run.layer(0, 5, 1.0, {1, 0, 2}, {0.8, 0.1, 0.0});
    run.layer(1, 5, 2.0, {1, 2, 3}, {0.4, 0.2, 0.1});
    run.layer(2, 5, 0.0, {3, 1, 0}, {0.2, 0.6, -0.2});
    run.layer(3, 5, 1.0, {4, 2, 3}, {9.0, 0.2, 0.3});  // expert 4: large, but once
    run.add_case(Split::none, 99);                     // an unusable record in between
    for (std::int32_t c = 5; c < 8; ++c) {
        run.add_case(Split::validation, c - 5);
        run.layer(c, 2, 0.25, {0, 1, 2}, {0, 0, 0});
    }
    run.layer(5, 5, 1.5, {1, 2, 3}, {0.9, 0.1, 0.3});
    run.layer(6, 5, 0.5, {0, 1, 4}, {0.2, 0.5, 0.4});
    run.layer(7, 5, 1.0, {0, 2, 3}, {0.6, 0.0, 0.3});  // expert 1 inactive
    return run;
}

}  // namespace moesweep
