// After CPython's Modules/_randommodule.c (seeding, getrandbits) and Lib/random.py (_randbelow, sample); shuffle, a
// template, is in the header.
#include "moesweep/stats/python_random.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <numeric>
#include <unordered_set>

namespace moesweep {
namespace {

/// MT19937's init_by_array as a seed sequence: std::mt19937 takes the words it yields as its whole state.
struct ArraySeed {
    using result_type = std::uint32_t;
    std::vector<std::uint32_t> key;

    template <class Iterator>
    void generate(Iterator begin, Iterator end) const {
        const std::size_t n = static_cast<std::size_t>(std::distance(begin, end));
        std::vector<std::uint32_t> state(n);
        state[0] = 19650218;
        for (std::uint32_t i = 1; i < n; i++) state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;

        std::size_t i = 1, j = 0;
        const auto mix = [&](std::uint32_t factor, std::uint32_t add) {
            state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * factor)) + add;
            if (++i == n) {
                state[0] = state[n - 1];
                i = 1;
            }
        };
        for (std::size_t step = std::max(n, key.size()); step > 0; step--) {
            mix(1664525u, key[j] + static_cast<std::uint32_t>(j));
            j = (j + 1) % key.size();
        }
        for (std::size_t step = n - 1; step > 0; step--) mix(1566083941u, -static_cast<std::uint32_t>(i));
        state[0] = 0x80000000u;
        std::copy(state.begin(), state.end(), begin);
    }
};

/// |seed| in 32-bit digits, least significant first; zero has one digit.
ArraySeed seed_of(std::int64_t seed) {
    const auto wide = static_cast<std::uint64_t>(seed);
    const std::uint64_t magnitude = seed < 0 ? 0 - wide : wide;
    ArraySeed result{{static_cast<std::uint32_t>(magnitude)}};
    if (magnitude >> 32) result.key.push_back(static_cast<std::uint32_t>(magnitude >> 32));
    return result;
}

}  // namespace

PythonRandom::PythonRandom(std::int64_t seed) {
    ArraySeed sequence = seed_of(seed);
    engine_.seed(sequence);
}

std::uint64_t PythonRandom::bits(int k) {
    if (k <= 32) return engine_() >> (32 - k);
    const std::uint64_t low = engine_();
    return low | (static_cast<std::uint64_t>(engine_() >> (64 - k)) << 32);
}

std::uint64_t PythonRandom::below(std::uint64_t n) {
    const int k = std::bit_width(n);
    std::uint64_t value;
    do value = bits(k);
    while (value >= n);
    return value;
}

std::vector<std::size_t> PythonRandom::sample(std::size_t n, std::size_t k) {
    std::size_t set_size = 21;  // CPython's estimate of when a set takes less memory than a list of n
    if (k > 5) {
        std::size_t power = 1;
        while (power < 3 * k) power *= 4;
        set_size += power;
    }
    std::vector<std::size_t> result(k);
    if (n <= set_size) {
        std::vector<std::size_t> pool(n);
        std::iota(pool.begin(), pool.end(), std::size_t{0});
        for (std::size_t i = 0; i < k; i++) {
            std::size_t& drawn = pool[below(n - i)];
            result[i] = drawn;
            drawn = pool[n - i - 1];
        }
    } else {
        std::unordered_set<std::size_t> seen;
        for (std::size_t& index : result) {
            do index = below(n);
            while (!seen.insert(index).second);
        }
    }
    return result;
}

}  // namespace moesweep
