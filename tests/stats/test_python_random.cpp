#include "moesweep/stats/python_random.h"

#include <limits>
#include <numeric>
#include <string>

#include <catch2/catch.hpp>

using moesweep::PythonRandom;

// Every expected value below was printed by CPython 3.11.

namespace {

std::vector<int> shuffled(int n, std::int64_t seed) {
    std::vector<int> items(n);
    std::iota(items.begin(), items.end(), 0);
    PythonRandom(seed).shuffle(items);
    return items;
}

}  // namespace

TEST_CASE("shuffle gives CPython's order for seeds of one and two digits and of either sign") {
    struct Golden {
        std::int64_t seed;
        std::vector<int> order;  // random.Random(seed).shuffle(list(range(12)))
    };
    const auto golden = GENERATE(values<Golden>({
        {0, {1, 9, 8, 5, 10, 2, 3, 7, 4, 0, 11, 6}},
        {1, {7, 11, 0, 8, 5, 6, 3, 10, 4, 1, 9, 2}},
        {-1, {7, 11, 0, 8, 5, 6, 3, 10, 4, 1, 9, 2}},
        {7, {7, 11, 3, 10, 8, 4, 9, 1, 0, 6, 2, 5}},
        {4294967295, {0, 6, 1, 5, 8, 2, 7, 4, 11, 3, 9, 10}},
        {4294967296, {11, 10, 7, 3, 9, 2, 4, 8, 0, 6, 5, 1}},
        {8589934597, {7, 1, 0, 3, 10, 9, 6, 5, 8, 2, 4, 11}},
        {-1099511627779, {10, 7, 2, 6, 9, 11, 5, 4, 1, 8, 0, 3}},
        {12345678901234567, {6, 3, 0, 7, 11, 2, 5, 4, 8, 10, 9, 1}},
        {9223372036854775807, {11, 1, 6, 9, 4, 3, 0, 8, 7, 2, 10, 5}},
        {std::numeric_limits<std::int64_t>::min(), {11, 0, 7, 5, 4, 10, 2, 1, 9, 3, 6, 8}},
    }));
    INFO(golden.seed);
    CHECK(shuffled(12, golden.seed) == golden.order);
}

TEST_CASE("a shuffle of no or one item draws nothing") {
    CHECK(shuffled(0, 0).empty());
    CHECK(shuffled(1, 0) == std::vector<int>{0});
    PythonRandom random(0), untouched(0);
    std::vector<int> one{5};
    random.shuffle(one);
    CHECK(random.below(1000000) == untouched.below(1000000));
}

TEST_CASE("sample gives CPython's indices from the pool and from the set") {
    struct Golden {
        std::size_t n, k;
        std::int64_t seed;
        std::vector<std::size_t> indices;  // random.Random(seed).sample(range(n), k)
    };
    const auto golden = GENERATE(values<Golden>({
        {10, 3, 0, {6, 9, 0}},
        {21, 5, -1, {4, 18, 2, 8, 3}},
        {22, 5, 7, {10, 4, 12, 20, 1}},
        {22, 3, 1099511627776, {3, 11, 21}},
        {7, 0, 3, {}},
        {5, 5, 11, {3, 4, 1, 0, 2}},
        {1, 1, 0, {0}},
        {127, 3, 1000, {99, 54, 85}},
        {85, 21, 5, {79, 32, 45, 67, 3, 59, 31, 6, 20, 14, 47, 60, 78, 48, 69, 13, 72, 1, 27, 52, 35}},
        {86, 21, 5, {79, 32, 45, 83, 67, 3, 59, 31, 6, 20, 14, 47, 60, 48, 69, 13, 73, 1, 27, 52, 35}},
        {85, 22, 5, {79, 32, 45, 67, 3, 59, 31, 6, 20, 14, 47, 60, 78, 48, 69, 13, 72, 1, 27, 52, 35, 23}},
        {277, 22, 5, {130, 183, 271, 14,  238, 127, 26,  80,  57, 190, 240,
                      126, 194, 52,  274, 6,   110, 208, 143, 93, 199, 81}},
        {278, 22, 5, {130, 183, 271, 14, 238, 127, 26,  80, 57,  190, 240,
                      126, 194, 52,  6,  110, 208, 143, 93, 199, 81,  36}},
        {21919, 8, 3, {7797, 19419, 17833, 4273, 12122, 19789, 15533, 20503}},
    }));
    INFO(golden.n << " choose " << golden.k << " seed " << golden.seed);
    CHECK(PythonRandom(golden.seed).sample(golden.n, golden.k) == golden.indices);
}

TEST_CASE("one generator goes on drawing as CPython's does, below bounds of 1 to 64 bits") {
    struct Draw {
        std::uint64_t bound, value;  // random._randbelow(bound), one after the other, from random.Random(42)
    };
    PythonRandom random(42);
    for (const Draw& draw : std::vector<Draw>{
             {1ull, 0ull},
             {2ull, 0ull},
             {3ull, 2ull},
             {2147483648ull, 1181241943ull},
             {4294967295ull, 1051802512ull},
             {4294967296ull, 958682846ull},
             {4294967297ull, 3163119785ull},
             {9223372036854775808ull, 586287033698423193ull},
             {18446744073709551615ull, 1728372192399379054ull},
             {1000000000000ull, 254342113419ull},
         }) {
        INFO(draw.bound);
        CHECK(random.below(draw.bound) == draw.value);
    }
}
