// What is refused in a configuration, and how the message names it.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "moesweep/tracing/keys.h"
#include "support.h"

using namespace moesweep;

namespace {

const char* const a_path = "a path as it is, without quotes or blanks around it, a comment behind it, $NAME or ~NAME";

Failure failure_of_ini(const std::string& text) {
    return failure_of([&] { parse_config<TracingConfig>(text, "x.ini"); });
}

Failure failure_of_override(const std::string& text) {
    return failure_of([&] { load_config<TracingConfig>("", {text}); });
}

}  // namespace

TEST_CASE("a mistake in a file is named by file, line and key") {
    const auto [text, message] = GENERATE(table<std::string, std::string>({
        {"[noise]\n\n# c\nscale = abc\n", "x.ini:4: noise.scale: expected a number >= 0, got 'abc'"},
        {"[noise]\nscale = -1", "x.ini:2: noise.scale: expected a number >= 0, got '-1'"},
        {"[noise]\nscale =", "x.ini:2: noise.scale: expected a number >= 0, got ''"},
        {"[noise]\nscale = 3 # x", "x.ini:2: noise.scale: expected a number >= 0, got '3 # x'"},
        {"[run]\nout = runs/x  # new", fmt::format("x.ini:2: run.out: expected {}, got 'runs/x  # new'", a_path)},
        {"[noise]\nscael = 3", "x.ini:2: noise.scael: unknown key"},
        {"[nois]\nscale = 3", "x.ini:1: [nois]: unknown section"},
        {"scale = 3", "x.ini:1: scale: stands before the first [section]"},
        {"[noise]\nscale 3", "x.ini:2: expected [section], key = value or a comment, got 'scale 3'"},
        {"[noise\nscale = 3", "x.ini:1: expected [section], key = value or a comment, got '[noise'"},
        {"[noise]\nscale = 3\n[cases]\nlimit = 1\n[noise]\nscale = 4",
         "x.ini:6: noise.scale: set twice, first in line 2"},
    }));
    const Failure failure = failure_of_ini(text);
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == message);
}

TEST_CASE("a value of the wrong type or out of range is refused with what was expected") {
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"noise.scale=nan", "a number >= 0"},
        {"noise.scale=inf", "a number >= 0"},
        {"noise.scale=1e999", "a number >= 0"},
        {"noise.scale=0x3", "a number >= 0"},
        {"cases.clean_margin=nan", "a number or -inf"},
        {"cases.clean_margin=inf", "a number or -inf"},
        {"run.progress=0", "a number > 0"},
        {"cases.limit=-1", "a whole number from 0 to 2147483647"},
        {"cases.limit=1.5", "a whole number from 0 to 2147483647"},
        {"cases.limit=99999999999999999999", "a whole number from 0 to 2147483647"},
        {"cases.discovery=0", "a whole number from 1 to 2147483647"},
        {"run.unit=0", "a whole number from 1 to 2147483647"},
        {"select.recurrence=0", "a whole number from 1 to 2147483647"},
        {"stats.bootstrap=0", "a whole number from 1 to 2147483647"},
        {"stats.sign_flips=0", "a whole number from 1 to 2147483647"},
        {"controls.random=-1", "a whole number from 0 to 127"},
        {"noise.seed=9223372036854775807", "a whole number from -4611686018427387904 to 4611686018427387904"},
        {"model.precision=bf16", "auto | fp32 | fp64 | split | fast | parity"},
        {"model.bos=true", "auto | yes | no"},
        {"run.log=1", "no | yes"},
        {"run.device=gpu", "auto | cpu | cuda"},
        {"cases.object_token=leading_space", "leading-space | bare-or-space"},
        {"sweep.coalitions=all", "none | clean | union | clean,union"},
        {"sweep.layers=", "all, or layers such as 0-3,7"},
        {"sweep.layers=3-1", "all, or layers such as 0-3,7"},
        {"sweep.layers=1,", "all, or layers such as 0-3,7"},
        {"sweep.layers=-1", "all, or layers such as 0-3,7"},
        {"sweep.layers=selected", "all, or layers such as 0-3,7"},
        {"sweep.subset_layers=", "selected, all, or layers such as 0-3,7"},
        {"sweep.subset_layers=selected,1", "selected, all, or layers such as 0-3,7"},
        {"sweep.subsets=yes", "none | all"},
        {"controls.equal_norm=1", "no | yes"},
        {"noise.draws=0", "a whole number from 1 to 1000"},
        {"noise.draws=1001", "a whole number from 1 to 1000"},
        {"noise.scales=1,,2", "numbers such as 1,2,4, or nothing"},
        {"noise.scales=1,", "numbers such as 1,2,4, or nothing"},
        {"noise.scales=1 2", "numbers such as 1,2,4, or nothing"},
        {"noise.scales=-1", "numbers such as 1,2,4, or nothing"},
        {"noise.scales=nan", "numbers such as 1,2,4, or nothing"},
        {"noise.scales=inf", "numbers such as 1,2,4, or nothing"},
        {"scale_up.limit=-1", "a whole number from 0 to 2147483647"},
        {"scale_up.clean_margin=inf", "a number or -inf"},
        {"scale_up.noise_drop=nan", "a number or -inf"},
        {"scale_up.discovery=0", "a whole number from 1 to 2147483647"},
        {"scale_up.recurrence=0", "a whole number from 1 to 2147483647"},
        {"stability.split_seeds=1.5", "numbers such as 1,2,4, or nothing"},
        {"stability.split_seeds=x", "numbers such as 1,2,4, or nothing"},
        {"stability.thresholds=32,-1", "numbers such as 1,2,4, or nothing"},
        {"stability.thresholds=2147483648", "numbers such as 1,2,4, or nothing"},
        {"stability.folds=1", "a whole number from 2 to 2147483647"},
        {"run.out=a\nb", a_path},
        {"run.out= a", a_path},
        {"run.out=a ", a_path},
        {"run.out=runs/x   # today's", a_path},
        {"run.out=runs/x ;today", a_path},
        {"run.out=\"runs/x\"", a_path},
        {"run.out='runs/x'", a_path},
        {"run.out=runs/x\"", a_path},
        {"run.out=$SCRATCH/runs", a_path},
        {"run.out=/scratch/${USER}/x", a_path},
        {"run.out=runs/$(date +%F)", a_path},
        {"run.out=~someone/runs", a_path},
        {"run.out=~runs", a_path},
        {"model.path=\"models/a b\"", a_path},
        {"cases.path=facts.json # ROME", a_path},
    }));
    const std::string key = text.substr(0, text.find('=')), value = text.substr(text.find('=') + 1);
    const Failure failure = failure_of_override(text);
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == fmt::format("--{}: expected {}, got '{}'", key, expected, value));
}

TEST_CASE("a mistake on the command line or in the environment is named as it was given") {
    CHECK(failure_of_override("noise.scael=1").message == "--noise.scael: unknown key");
    CHECK(failure_of_override("noise.scale").message == "--noise.scale: expected --noise.scale=VALUE");
    const Failure twice = failure_of([] { load_config<TracingConfig>("", {"noise.scale=1", "noise.scale=2"}); });
    CHECK(twice.message == "--noise.scale: given twice");
    CHECK(twice.code == Exit::usage);
    {
        const Variable variable("MOESWEEP_NOISE_SCALE", "abc");
        const Failure failure = failure_of([] { load_config<TracingConfig>("", {}); });
        CHECK(failure.message == "MOESWEEP_NOISE_SCALE: expected a number >= 0, got 'abc'");
        CHECK(failure.code == Exit::usage);
    }
    {
        const Variable variable("MOESWEEP_NOISE_SCAEL", "1");
        CHECK(failure_of([] { load_config<TracingConfig>("", {}); }).message == "MOESWEEP_NOISE_SCAEL: unknown key");
    }
    const Variable not_ours("MOESWEEP_BUILD", "x"), nor_this("MOESWEEP_SHARED_X", "x");
    CHECK(to_ini(load_config<TracingConfig>("", {})) == to_ini(TracingConfig{}));
}

TEST_CASE("a configuration file that is not there is named") {
    const Failure failure = failure_of([] { load_config<TracingConfig>("absent.ini", {}); });
    CHECK(failure.code == Exit::data);
    CHECK(failure.message == "absent.ini: no such file");
}
