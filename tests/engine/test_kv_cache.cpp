// Stretches of the cache: never two for one row, and all of them free again in the end.
#include <algorithm>
#include <map>
#include <random>

#include "catch_beside_torch.h"
#include "decode_fixture.h"
#include "moesweep/engine/kv_cache.h"

using namespace moesweep;

TEST_CASE("reserved stretches do not meet, and what is released joins again", "[kv_cache]") {
    const DecodeFixture f(tiny_config("mixtral"), Precision::fp32);
    KvCache cache(f.weights, 100);
    CHECK((cache.layer(0).size(0) == 100 && cache.layer(0).size(1) == 4));
    std::mt19937 random(3);
    std::map<std::int64_t, std::int64_t> held;
    for (int i = 0; i < 2000; ++i) {
        const auto rows = static_cast<std::int64_t>(1 + random() % 30);
        if (const auto begin = cache.reserve(rows)) {
            const auto next = held.lower_bound(*begin);
            CHECK((next == held.end() || *begin + rows <= next->first));
            CHECK((next == held.begin() || std::prev(next)->second <= *begin));
            CHECK(*begin + rows <= 100);
            held[*begin] = *begin + rows;
        }
        if (!held.empty() && random() % 2) {
            const auto gone = std::next(held.begin(), static_cast<std::ptrdiff_t>(random() % held.size()));
            cache.release(gone->first, gone->second - gone->first);
            held.erase(gone);
        }
    }
    for (const auto& [begin, end] : held) cache.release(begin, end - begin);
    CHECK(cache.reserve(100) == 0);
    CHECK(!cache.reserve(1));
}
