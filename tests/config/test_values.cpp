#include "moesweep/config/values.h"

#include <catch2/catch.hpp>

#include "moesweep/base/error.h"
#include "support.h"

using namespace moesweep;

TEST_CASE("layers are listed in ascending order, without repeats, and must be there") {
    CHECK(LayerList().of_model(3, "sweep.layers") == std::vector<int>{0, 1, 2});
    CHECK(LayerList("7,0-3,2-4").of_model(8, "sweep.layers") == std::vector<int>{0, 1, 2, 3, 4, 7});
    CHECK(LayerList("7,0-3,2-4").text() == "7,0-3,2-4");
    const Failure failure = failure_of([] { LayerList("0-2000000000").of_model(48, "sweep.layers"); });
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == "sweep.layers: expected layers 0 to 47 of this model, got 2000000000");
    for (const char* text : {"", "1;2", "3-1", "1,", "-1", "1-", "a", "0-3 "}) {
        INFO(text);
        CHECK_FALSE(LayerList::parse(text));
    }
}

TEST_CASE("lists of numbers keep their order, and a text that is none is our own mistake") {
    CHECK(NumberList<double>("").values().empty());
    CHECK(NumberList<double>("4,0.5,4").values() == std::vector<double>{4, 0.5, 4});
    CHECK(NumberList<std::int64_t>("0,2147483647").values() == std::vector<std::int64_t>{0, 2147483647});
    CHECK_FALSE(NumberList<std::int64_t>::parse("2147483648"));
    CHECK_FALSE(NumberList<double>::parse("1,nan"));
    CHECK(failure_of([] { NumberList<double>("1,x"); }).code == Exit::internal);
    const Failure failure = failure_of([] { NumberList<std::int64_t>("1.5"); });
    CHECK(failure.code == Exit::internal);
    CHECK(failure.message == "'1.5': not a value of this kind");
}

TEST_CASE("memory is a size or a share") {
    CHECK(MemorySize("1GB").bytes() == 1'000'000'000);
    CHECK(MemorySize("1.5GiB").bytes() == 3 * (std::int64_t{1} << 29));
    CHECK(MemorySize("800MiB").bytes() == 800 * (std::int64_t{1} << 20));
    CHECK(MemorySize("2kB").bytes() == 2000);
    CHECK_FALSE(MemorySize("2kB").is_share());
    CHECK(MemorySize("60%").is_share());
    CHECK(MemorySize("60%").share() == Approx(0.6));
    CHECK(MemorySize("auto").share() == MemorySize().share());
    CHECK(MemorySize("auto").share() == 0.8);
    for (const char* text : {"", "GB", "1", "1 GB", "-1GB", "0GB", "101%", "0%", "1gb", "nanGB", "1e99TB", "1GBx"}) {
        INFO(text);
        CHECK_FALSE(MemorySize::parse(text));
    }
}
