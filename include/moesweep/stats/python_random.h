// CPython's random.Random for the calls the protocol needs, bit for bit: seed(int), shuffle(list), sample(list, k).
#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace moesweep {

class PythonRandom {
  public:
    /// random.Random(seed): MT19937 seeded by init_by_array with the 32-bit digits of |seed|.
    explicit PythonRandom(std::int64_t seed);

    /// _randbelow(n) by getrandbits and rejection; n >= 1.
    std::uint64_t below(std::uint64_t n);

    template <class T>
    void shuffle(std::vector<T>& items) {
        for (std::size_t i = items.size(); i-- > 1;) std::swap(items[i], items[below(i + 1)]);
    }

    /// What sample(range(n), k) returns; k <= n.
    std::vector<std::size_t> sample(std::size_t n, std::size_t k);

  private:
    std::uint64_t bits(int k);  // getrandbits(k), 1 <= k <= 64
    std::mt19937 engine_;
};

}  // namespace moesweep
