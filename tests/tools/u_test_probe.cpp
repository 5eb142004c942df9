// u_test_probe normal|exact < lines: the U test of each line "n1 n2 values ...", for the oracle in Python. Prints a
// line "u p median_difference" for each.
#include <fmt/format.h>

#include <iostream>
#include <string_view>

#include "moesweep/stats/mann_whitney.h"

int main(int argc, char** argv) {
    using namespace moesweep;
    if (argc != 2) {
        fmt::print(stderr, "usage: {} normal|exact < lines\n", argv[0]);
        return 64;
    }
    const PValue by = std::string_view(argv[1]) == "exact" ? PValue::exact : PValue::normal;
    for (std::size_t first, second; std::cin >> first >> second;) {
        std::vector<double> values(first + second);
        for (double& value : values) std::cin >> value;
        const UTest test = MannWhitney(first, second, by)(values);
        fmt::print("{:.17g} {:.17g} {:.17g}\n", test.u, test.p, test.median_difference);
    }
}
