// A configuration file. One that is accepted must come back from its own effective form with the same values.
#include "moesweep/config/config.h"

#include <cstdlib>

#include "fuzz.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::expect_value_or_error([&] {
        const Config config = parse_config(fuzz::text_of({data, size}), "fuzz.ini");
        const std::string effective = to_ini(config);
        if (to_ini(parse_config(effective, "effective")) != effective) std::abort();
        parse_numbers(config.noise.scales);
        parse_integers(config.stability.split_seeds);
        parse_integers(config.stability.thresholds);
        parse_layers(config.sweep.layers, 48);
    });
    return 0;
}
