// Random runs with known effects, for tests of tables that need many cases.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "study_run.h"

namespace moesweep {

/// What the rescues are drawn from: normal around these means, in logits, at the planted layer.
struct Effects {
    std::int32_t layer = 1, star = 5;  ///< planted layer and expert
    double block = 0.9, by_star = 0.5, by_others = 0.1, spread = 0.6;
    double active = 0.85;  ///< probability that the clean run routes to the star
};

/// Shape of a synthetic run.
struct Shape {
    std::int32_t cases, layers, experts, k;
};

/// Block, both coalitions and every clean-active expert of every layer; split by the protocol, half and half.
inline HandRun synthetic(const Shape& shape, const Effects& effects, std::uint32_t seed) {
    HandRun run(shape.experts, shape.k, shape.cases / 2, shape.cases / 4);
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, effects.spread);
    std::bernoulli_distribution star_active(effects.active);
    for (std::int32_t c = 0; c < shape.cases; ++c) {
        run.add_case(Split::none, 10 * c);
        run.cases.back().status = Status::usable;
        run.cases.back().fact.relation = fmt::format("P{}", random() % 7 * (random() % 3));
        for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
            const bool planted = layer == effects.layer;
            std::vector<std::int32_t> routed(static_cast<std::size_t>(shape.experts));
            std::iota(routed.begin(), routed.end(), 0);
            std::shuffle(routed.begin(), routed.end(), random);
            if (planted) {
                std::erase(routed, effects.star);
                routed.insert(star_active(random) ? routed.begin() : routed.end(), effects.star);
            }
            routed.resize(static_cast<std::size_t>(shape.k));
            std::vector<double> rescues;
            for (auto e : routed)
                rescues.push_back(noise(random) +
                                  (planted ? e == effects.star ? effects.by_star : effects.by_others : 0));
            run.layer(c, layer, noise(random) + (planted ? effects.block : 0), routed, rescues);
            run.row(c, layer, Kind::coalition_clean, noise(random) + effects.block);
            run.row(c, layer, Kind::coalition_union, noise(random) + effects.block);
        }
    }
    run.config.cases.limit = shape.cases;
    split_cases(run.config, run.cases);
    return run;
}

}  // namespace moesweep
