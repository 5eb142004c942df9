// The controls of the selected expert: gate-matched, of equal norm, and the other of two.
#include <cmath>

#include "study_run.h"

using namespace moesweep;

TEST_CASE("the gate-matched control is the other expert with the nearest weight") {
    const std::vector<std::int32_t> experts{7, 3, 9, 1};
    const auto control = [&](const std::vector<float>& weights, std::int32_t selected) {
        return gate_matched_control(experts, weights, selected);
    };
    CHECK(control({0.5f, 0.25f, 0.125f, 0.125f}, 7) == 3);
    CHECK(control({0.5f, 0.25f, 0.125f, 0.125f}, 9) == 1);
    CHECK(control({0.5f, 0.375f, 0.25f, 0.125f}, 3) == 7);  // a tie between 7 and 9: the lower index
    CHECK(control({0.5f, 0.375f, 0.25f, 0.125f}, 9) == 1);  // a tie between 3 and 1, whatever their order
    CHECK(control({0.25f, 0.25f, 0.25f, 0.25f}, 1) == 3);   // all alike
    CHECK_FALSE(control({0.25f, 0.25f, 0.25f, 0.25f}, 2));  // not routed
    CHECK_FALSE(gate_matched_control(std::vector{4}, std::vector{1.0f}, 4));  // no other beside it
    CHECK_FALSE(gate_matched_control({}, {}, 4));
}
