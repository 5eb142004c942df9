// How far two raters of the same answers agree.
#pragma once
#include <cstdint>
#include <vector>

namespace moesweep {

struct Agreement {
    std::int64_t both_right = 0, first_alone_right = 0, second_alone_right = 0, both_wrong = 0;

    std::int64_t items() const { return both_right + first_alone_right + second_alone_right + both_wrong; }
    /// The share of the items to which both give the same verdict; 0 if there is no item.
    double observed() const;
    /// The same by chance, if each rater kept his share of right ones and drew lots; 0 if there is no item.
    double expected() const;
    /// Cohen's kappa, (observed - expected) / (1 - expected). 0 where both give all items the same verdict, for then
    /// chance explains all agreement; so it is where one rater does and the other does not.
    double kappa() const;
};

/// Of two raters' verdicts (whether right), item by item. Error(internal) if their numbers differ.
Agreement agreement(const std::vector<bool>& first, const std::vector<bool>& second);

}  // namespace moesweep
