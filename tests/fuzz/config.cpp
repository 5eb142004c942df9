// A configuration file. Printing an accepted one and reading that must give the same values.
#include "moesweep/tracing/keys.h"

#include <cstdlib>

#include "fuzz.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::expect_value_or_error([&] {
        const TracingConfig config = parse_config<TracingConfig>(fuzz::text_of({data, size}), "fuzz.ini");
        const std::string effective = to_ini(config);
        if (to_ini(parse_config<TracingConfig>(effective, "effective")) != effective) std::abort();
        config.sweep.layers.of_model(48, "sweep.layers");
    });
    return 0;
}
