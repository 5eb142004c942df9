// The one-tailed Mann-Whitney U test: are the values of a first sample higher than those of a second? Statistic and p
// are those of scipy.stats.mannwhitneyu(first, second, alternative="greater").
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace moesweep {

/// How the p value of a U test is found.
enum class PValue {
    normal,  ///< approximation, corrected for ties and continuity (scipy's "asymptotic")
    exact,   ///< by the distribution of U without ties; for a U that ties leave at a half, that of the next lower one
};

/// Where all values are equal, p is what the formulas give: 1 (normal) or P(U >= half the pairs) (exact).
struct UTest {
    double u = 0;  ///< pairs in which the first sample's value is higher, ties counting a half
    double p = 0;
    double median_difference = 0;  ///< the first sample's median minus the second's, each as of numpy.median
};

/// The test for samples of these sizes, which may be run often: it allocates nothing and sorts once.
class MannWhitney {
  public:
    /// Both samples have values. The exact distribution takes time in proportion to (first x second)^2.
    MannWhitney(std::size_t first, std::size_t second, PValue by);

    /// `values`: those of the first sample, then those of the second; finite.
    UTest operator()(std::span<const double> values);

  private:
    struct Value {
        double value;
        bool of_first;
    };

    double normal_p(double u, double ties) const;

    std::size_t first_, second_;
    std::vector<Value> sorted_;
    std::vector<double> tail_;  // exact: P(U >= u) for each whole u
};

}  // namespace moesweep
