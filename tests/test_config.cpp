#include "moesweep/config.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <limits>

#include <catch2/catch.hpp>

#include "moesweep/files.h"
#include "support.h"

using namespace moesweep;

namespace {

/// An environment variable that is set while this lives.
class Variable {
  public:
    Variable(std::string name, const std::string& value) : name_(std::move(name)) {
        ::setenv(name_.c_str(), value.c_str(), 1);
    }
    ~Variable() { ::unsetenv(name_.c_str()); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    std::string name_;
};

Failure failure_of_ini(const std::string& text) {
    return failure_of([&] { parse_config(text, "x.ini"); });
}

Failure failure_of_override(const std::string& text) {
    return failure_of([&] { load_config("", {text}); });
}

std::vector<std::string> keys_that(bool identity) {
    std::vector<std::string> names;
    for (const Setting& setting : settings({}))
        if (is_identity(setting.key) == identity) names.push_back(setting.key);
    return names;
}

}  // namespace

TEST_CASE("reference.ini documents every key with its default") {
    const std::string file = read_file(MOESWEEP_CONFIGS "/reference.ini");
    const std::string defaults = to_ini({});
    INFO("moesweep trace --print-config writes what must stand in configs/reference.ini below its heading");
    REQUIRE(file.size() > defaults.size());
    CHECK(file.substr(file.size() - defaults.size()) == defaults);
    CHECK(to_ini(parse_config(file, "reference.ini")) == defaults);
}

TEST_CASE("the shipped experiments load and say what they are for") {
    const Config demo = load_config(MOESWEEP_CONFIGS "/demo.ini", {});
    CHECK(demo.model.path == "demo/model");
    CHECK(demo.cases.path == "demo/facts.json");
    CHECK(demo.run.out == "runs/demo");
    const Config qwen3 = load_config(MOESWEEP_CONFIGS "/qwen3-256.ini", {});
    CHECK(qwen3.controls.random == 3);
    const Config mixtral = load_config(MOESWEEP_CONFIGS "/mixtral-256.ini", {});
    CHECK(mixtral.controls.random == 1);
    CHECK(mixtral.model.bos == Bos::no);
    for (const Config& config : {demo, qwen3, mixtral}) {  // the paper's protocol
        CHECK(config.cases.limit == 256);
        CHECK(config.cases.discovery == 128);
        CHECK(config.cases.clean_margin == 1.0);
        CHECK(config.cases.noise_drop == 0.5);
        CHECK(config.noise.scale == 3.0);
        CHECK(config.select.recurrence == 64);
    }
}

TEST_CASE("every kind of value is read, printed and read back") {
    const std::vector<std::string> overrides = {"model.path=models/a b#c",
                                                "model.precision=fp64",
                                                "model.bos=no",
                                                "cases.seed=-7",
                                                "cases.limit=0",
                                                "cases.clean_margin=-inf",
                                                "cases.noise_drop=0.1",
                                                "noise.scale=1e-300",
                                                "cases.object_token=bare-or-space",
                                                "sweep.layers=0-3,7",
                                                "sweep.blocks=no",
                                                "sweep.experts=clean",
                                                "sweep.coalitions=union",
                                                "run.log=yes",
                                                "store.vectors=patches",
                                                "noise.seed=4611686018427387904"};
    const Config config = load_config("", overrides);
    CHECK(config.model.path == "models/a b#c");
    CHECK(config.model.precision == Precision::fp64);
    CHECK(config.model.bos == Bos::no);
    CHECK(config.cases.seed == -7);
    CHECK(config.cases.limit == 0);
    CHECK(config.cases.clean_margin == -std::numeric_limits<double>::infinity());
    CHECK(config.cases.noise_drop == 0.1);
    CHECK(config.cases.object_token == ObjectToken::bare_or_space);
    CHECK(config.noise.scale == 1e-300);
    CHECK(config.noise.seed == std::int64_t{1} << 62);
    CHECK(config.sweep.layers == "0-3,7");
    CHECK_FALSE(config.sweep.blocks);
    CHECK(config.sweep.experts == Experts::clean);
    CHECK_FALSE(config.sweep.coalition_clean);
    CHECK(config.sweep.coalition_union);
    CHECK(config.run.log);
    CHECK(config.store.vectors == Vectors::patches);

    const Config again = parse_config(to_ini(config), "again");
    const auto before = settings(config), after = settings(again);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); i++) CHECK(before[i].value == after[i].value);
    for (const std::string& text : overrides) {  // each is printed as it was given
        INFO(text);
        CHECK(std::ranges::any_of(after, [&](const Setting& s) { return s.key + "=" + s.value == text; }));
    }
}

TEST_CASE("each word of a choice means what it says") {
    CHECK(load_config("", {"sweep.coalitions=none"}).sweep.coalition_clean == false);
    CHECK(load_config("", {"sweep.coalitions=none"}).sweep.coalition_union == false);
    CHECK(load_config("", {"sweep.coalitions=clean"}).sweep.coalition_clean == true);
    CHECK(load_config("", {"sweep.coalitions=clean"}).sweep.coalition_union == false);
    CHECK(load_config("", {"sweep.experts=none"}).sweep.experts == Experts::none);
    CHECK(load_config("", {"sweep.experts=union"}).sweep.experts == Experts::union_);
    CHECK(load_config("", {"model.bos=auto"}).model.bos == Bos::automatic);
    CHECK(load_config("", {"model.bos=yes"}).model.bos == Bos::yes);
    CHECK(load_config("", {"store.vectors=outputs"}).store.vectors == Vectors::outputs);
    CHECK(load_config("", {"run.device=cpu"}).run.device == "cpu");
}

TEST_CASE("doubles print as the shortest text that reads back to the same bits") {
    Config config;
    for (double value : {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, -2.5}) {
        config.cases.clean_margin = value;
        CHECK(parse_config(to_ini(config), "x").cases.clean_margin == value);
    }
    config.cases.clean_margin = 0.1;
    CHECK(to_ini(config).find("clean_margin = 0.1\n") != std::string::npos);
}

TEST_CASE("the command line outranks the environment, which outranks the file") {
    const Scratch scratch;
    write_file_atomically(
        scratch / "x.ini",
        std::string_view("; comment\n[noise]\r\nscale = 1\n\n[ cases ]\n limit=1\n[noise]\nseed = 1"));
    const std::string file = scratch / "x.ini";
    CHECK(load_config(file, {}).noise.scale == 1);
    CHECK(load_config(file, {}).noise.seed == 1);
    CHECK(load_config(file, {}).cases.limit == 1);
    const Variable variable("MOESWEEP_NOISE_SCALE", "2");
    const Variable long_name("MOESWEEP_CASES_CLEAN_MARGIN", "0.25");
    CHECK(load_config(file, {}).noise.scale == 2);
    CHECK(load_config(file, {}).cases.clean_margin == 0.25);
    CHECK(load_config(file, {"noise.scale=3"}).noise.scale == 3);
    CHECK(parse_config("[noise]\nscale = 1", "x").noise.scale == 1);  // a stored configuration knows no environment
}

TEST_CASE("a mistake in a file is named by file, line and key") {
    const auto [text, message] = GENERATE(table<std::string, std::string>({
        {"[noise]\n\n# c\nscale = abc\n", "x.ini:4: noise.scale: expected a number >= 0, got 'abc'"},
        {"[noise]\nscale = -1", "x.ini:2: noise.scale: expected a number >= 0, got '-1'"},
        {"[noise]\nscale =", "x.ini:2: noise.scale: expected a number >= 0, got ''"},
        {"[noise]\nscale = 3 # x", "x.ini:2: noise.scale: expected a number >= 0, got '3 # x'"},
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
        {"model.precision=bf16", "fp32 | fp64"},
        {"model.bos=true", "auto | yes | no"},
        {"run.log=1", "no | yes"},
        {"run.device=cuda", "cpu"},
        {"cases.object_token=leading_space", "leading-space | bare-or-space"},
        {"sweep.coalitions=all", "none | clean | union | clean,union"},
        {"sweep.layers=", "all, or layers such as 0-3,7"},
        {"sweep.layers=3-1", "all, or layers such as 0-3,7"},
        {"sweep.layers=1,", "all, or layers such as 0-3,7"},
        {"sweep.layers=-1", "all, or layers such as 0-3,7"},
        {"run.out=a\nb", "text without control characters or blanks around it"},
        {"run.out= a", "text without control characters or blanks around it"},
    }));
    const std::string key = text.substr(0, text.find('=')), value = text.substr(text.find('=') + 1);
    const Failure failure = failure_of_override(text);
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == fmt::format("--{}: expected {}, got '{}'", key, expected, value));
}

TEST_CASE("a mistake on the command line or in the environment is named as it was given") {
    CHECK(failure_of_override("noise.scael=1").message == "--noise.scael: unknown key");
    CHECK(failure_of_override("noise.scale").message == "--noise.scale: expected --noise.scale=VALUE");
    const Failure twice = failure_of([] { load_config("", {"noise.scale=1", "noise.scale=2"}); });
    CHECK(twice.message == "--noise.scale: given twice");
    CHECK(twice.code == Exit::usage);
    {
        const Variable variable("MOESWEEP_NOISE_SCALE", "abc");
        const Failure failure = failure_of([] { load_config("", {}); });
        CHECK(failure.message == "MOESWEEP_NOISE_SCALE: expected a number >= 0, got 'abc'");
        CHECK(failure.code == Exit::usage);
    }
    {
        const Variable variable("MOESWEEP_NOISE_SCAEL", "1");
        CHECK(failure_of([] { load_config("", {}); }).message == "MOESWEEP_NOISE_SCAEL: unknown key");
    }
    const Variable not_ours("MOESWEEP_BUILD", "x"), nor_this("MOESWEEP_SHARED_X", "x");
    CHECK(to_ini(load_config("", {})) == to_ini({}));
}

TEST_CASE("a configuration file that is not there is named") {
    const Failure failure = failure_of([] { load_config("absent.ini", {}); });
    CHECK(failure.code == Exit::data);
    CHECK(failure.message == "absent.ini: no such file");
}

TEST_CASE("only what the scan or the unit files depend on is a run's identity") {
    CHECK(keys_that(true) == std::vector<std::string>{
                                 "model.precision", "model.bos", "cases.seed", "cases.limit", "cases.clean_margin",
                                 "cases.noise_drop", "cases.object_token", "noise.scale", "noise.seed", "sweep.layers",
                                 "sweep.blocks", "sweep.experts", "sweep.coalitions", "run.unit", "store.vectors"});
    CHECK(keys_that(false) == std::vector<std::string>{"model.path", "cases.path", "cases.discovery",
                                                       "select.recurrence", "controls.random", "controls.seed",
                                                       "stats.bootstrap", "stats.sign_flips", "stats.seed", "run.out",
                                                       "run.device", "run.log", "run.progress"});
    CHECK(failure_of([] { is_identity("no.key"); }).code == Exit::internal);
}

TEST_CASE("layers are listed in ascending order, without repeats, and must be there") {
    CHECK(parse_layers("all", 3) == std::vector<int>{0, 1, 2});
    CHECK(parse_layers("7,0-3,2-4", 8) == std::vector<int>{0, 1, 2, 3, 4, 7});
    const Failure failure = failure_of([] { parse_layers("0-2000000000", 48); });
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == "sweep.layers: expected layers 0 to 47 of this model, got 2000000000");
    CHECK(failure_of([] { parse_layers("1;2", 48); }).message ==
          "sweep.layers: expected all, or layers such as 0-3,7, got '1;2'");
}
