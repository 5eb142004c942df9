// A configuration file, of either method. Printing an accepted one and reading that must give the same values.
#include <cstdlib>

#include "fuzz.h"
#include "moesweep/tracing/keys.h"
#include "moesweep/xici/keys.h"

using namespace moesweep;

namespace {

template <class C>
C read_twice(std::string_view text) {
    const C config = parse_config<C>(text, "fuzz.ini");
    const std::string effective = to_ini(config);
    if (to_ini(parse_config<C>(effective, "effective")) != effective) std::abort();
    return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::expect_value_or_error([&] {
        read_twice<TracingConfig>(fuzz::text_of({data, size})).sweep.layers.of_model(48, "sweep.layers");
    });
    fuzz::expect_value_or_error([&] { read_twice<XiciConfig>(fuzz::text_of({data, size})); });
    return 0;
}
