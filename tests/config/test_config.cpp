#include "moesweep/tracing/keys.h"

#include <algorithm>
#include <limits>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "support.h"

using namespace moesweep;

namespace {

std::vector<std::string> keys_that(bool identity) {
    std::vector<std::string> names;
    for (const Setting& setting : settings(TracingConfig{}))
        if (setting.identity == identity) names.push_back(setting.key);
    return names;
}

}  // namespace

TEST_CASE("reference.ini documents every key with its default") {
    const std::string file = read_file(MOESWEEP_CONFIGS "/reference.ini");
    const std::string defaults = to_ini(TracingConfig{});
    INFO("moesweep trace --print-config writes what must stand in configs/reference.ini below its heading");
    REQUIRE(file.size() > defaults.size());
    CHECK(file.substr(file.size() - defaults.size()) == defaults);
    CHECK(to_ini(parse_config<TracingConfig>(file, "reference.ini")) == defaults);
}

TEST_CASE("the shipped experiments load and say what they are for") {
    const TracingConfig demo = load_config<TracingConfig>(MOESWEEP_CONFIGS "/demo.ini", {});
    CHECK(demo.model.path == "demo/model");
    CHECK(demo.cases.path == "demo/facts.json");
    CHECK(demo.run.out == "runs/demo");
    const TracingConfig qwen3 = load_config<TracingConfig>(MOESWEEP_CONFIGS "/qwen3-256.ini", {});
    CHECK(qwen3.controls.random == 3);
    const TracingConfig mixtral = load_config<TracingConfig>(MOESWEEP_CONFIGS "/mixtral-256.ini", {});
    CHECK(mixtral.controls.random == 1);
    CHECK(mixtral.model.bos == Bos::no);
    for (const TracingConfig& config : {demo, qwen3, mixtral}) {  // the paper's protocol
        CHECK(config.cases.limit == 256);
        CHECK(config.cases.discovery == 128);
        CHECK(config.cases.clean_margin == 1.0);
        CHECK(config.cases.noise_drop == 0.5);
        CHECK(config.noise.scale == 3.0);
        CHECK(config.select.recurrence == 64);
    }
}

TEST_CASE("the paper's whole study loads for each model") {
    const std::string name = GENERATE("qwen3", "mixtral", "demo");
    INFO(name);
    const TracingConfig config = load_config<TracingConfig>(MOESWEEP_CONFIGS "/paper-" + name + ".ini", {});
    CHECK(config.cases.limit == 256);
    CHECK(config.cases.discovery == 128);
    CHECK(config.cases.clean_margin == 1.0);
    CHECK(config.cases.noise_drop == 0.5);
    CHECK(config.noise.scale == 3.0);
    CHECK(config.noise.scales.values() == std::vector<double>{1, 2, 4});
    CHECK(config.sweep.experts == Experts::union_);
    CHECK(config.sweep.subsets);
    CHECK(!config.sweep.subset_layers);
    CHECK(config.select.recurrence == 64);
    CHECK(config.controls.equal_norm);
    CHECK(config.scale_up.limit == 512);
    CHECK(config.scale_up.clean_margin == 0.5);
    CHECK(config.scale_up.noise_drop == 0.25);
    CHECK(config.scale_up.discovery == 256);
    CHECK(config.scale_up.recurrence == 128);
    CHECK(config.stability.split_seeds.values() == std::vector<std::int64_t>{0, 1, 2, 3, 4});
    CHECK(config.stability.thresholds.values() == std::vector<std::int64_t>{32, 48, 64, 80, 96});
    CHECK(config.stability.folds == 5);
    CHECK(config.controls.random == (name == "mixtral" ? 1 : 3));
    CHECK(config.model.bos == (name == "mixtral" ? Bos::no : Bos::automatic));
    CHECK(config.noise.draws == (name == "demo" ? 3 : 1));
    if (name == "demo") CHECK(config.run.out == "runs/paper-demo");
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
                                                "noise.seed=4611686018427387904",
                                                "noise.draws=1000",
                                                "noise.scales=0,0.5,4",
                                                "sweep.subsets=all",
                                                "sweep.subset_layers=1,3-4",
                                                "controls.equal_norm=no",
                                                "scale_up.limit=512",
                                                "scale_up.clean_margin=-inf",
                                                "scale_up.noise_drop=-0.25",
                                                "scale_up.discovery=255",
                                                "scale_up.recurrence=127",
                                                "stability.split_seeds=",
                                                "stability.thresholds=7",
                                                "stability.folds=2"};
    const TracingConfig config = load_config<TracingConfig>("", overrides);
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
    CHECK(config.sweep.layers.text() == "0-3,7");
    CHECK_FALSE(config.sweep.blocks);
    CHECK(config.sweep.experts == Experts::clean);
    CHECK_FALSE(config.sweep.coalition_clean);
    CHECK(config.sweep.coalition_union);
    CHECK(config.run.log);
    CHECK(config.store.vectors == Vectors::patches);
    CHECK(config.noise.draws == 1000);
    CHECK(config.noise.scales.values() == std::vector<double>{0, 0.5, 4});
    CHECK(config.sweep.subsets);
    CHECK(config.sweep.subset_layers.value().text() == "1,3-4");
    CHECK_FALSE(config.controls.equal_norm);
    CHECK(config.scale_up.limit == 512);
    CHECK(config.scale_up.clean_margin == -std::numeric_limits<double>::infinity());
    CHECK(config.scale_up.noise_drop == -0.25);
    CHECK(config.scale_up.discovery == 255);
    CHECK(config.scale_up.recurrence == 127);
    CHECK(config.stability.split_seeds.values().empty());
    CHECK(config.stability.thresholds.values() == std::vector<std::int64_t>{7});
    CHECK(config.stability.folds == 2);

    const TracingConfig again = parse_config<TracingConfig>(to_ini(config), "again");
    const auto before = settings(config), after = settings(again);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); i++) CHECK(before[i].value == after[i].value);
    for (const std::string& text : overrides) {  // each is printed as it was given
        INFO(text);
        CHECK(std::ranges::any_of(after, [&](const Setting& s) { return s.key + "=" + s.value == text; }));
    }
}

TEST_CASE("a leading ~ is the home folder, in every key that is a path and wherever it is set") {
    const Variable home("HOME", "/home/ada");
    const TracingConfig file =
        parse_config<TracingConfig>("[model]\npath = ~/m\n[cases]\npath = ~/a~b/f.json\n[run]\nout = ~", "x.ini");
    CHECK(file.model.path == "/home/ada/m");
    CHECK(file.cases.path == "/home/ada/a~b/f.json");
    CHECK(file.run.out == "/home/ada");
    CHECK(to_ini(file).find("\nout = /home/ada\n") != std::string::npos);
    CHECK(to_ini(parse_config<TracingConfig>(to_ini(file), "again")) == to_ini(file));
    CHECK(load_config<TracingConfig>("", {"run.out=~/runs/x"}).run.out == "/home/ada/runs/x");
    const Variable out("MOESWEEP_RUN_OUT", "~/y");
    CHECK(load_config<TracingConfig>("", {}).run.out == "/home/ada/y");
}

TEST_CASE("a path keeps what may stand in a name") {
    for (const std::string path : {"a~", "./~/x", "O'Brien/run", "5$", "a#1;2", "cost in $ 3", "Zürich run", "a=b"}) {
        CHECK(load_config<TracingConfig>("", {"run.out=" + path}).run.out == path);
        CHECK(parse_config<TracingConfig>("[run]\nout = " + path, "x.ini").run.out == path);
    }
}

TEST_CASE("a byte order mark in front of a file is skipped") {
    CHECK(parse_config<TracingConfig>("\xEF\xBB\xBF[noise]\nscale = 2", "x.ini").noise.scale == 2);
    CHECK(parse_config<TracingConfig>("\xEF\xBB\xBF# comment\r\n[noise]\r\nscale = 2\r\n", "x.ini").noise.scale == 2);
}

TEST_CASE("each word of a choice means what it says") {
    CHECK(load_config<TracingConfig>("", {"sweep.coalitions=none"}).sweep.coalition_clean == false);
    CHECK(load_config<TracingConfig>("", {"sweep.coalitions=none"}).sweep.coalition_union == false);
    CHECK(load_config<TracingConfig>("", {"sweep.coalitions=clean"}).sweep.coalition_clean == true);
    CHECK(load_config<TracingConfig>("", {"sweep.coalitions=clean"}).sweep.coalition_union == false);
    CHECK(load_config<TracingConfig>("", {"sweep.experts=none"}).sweep.experts == Experts::none);
    CHECK(load_config<TracingConfig>("", {"sweep.experts=union"}).sweep.experts == Experts::union_);
    CHECK(load_config<TracingConfig>("", {"model.bos=auto"}).model.bos == Bos::automatic);
    CHECK(load_config<TracingConfig>("", {"model.bos=yes"}).model.bos == Bos::yes);
    CHECK(load_config<TracingConfig>("", {"store.vectors=outputs"}).store.vectors == Vectors::outputs);
    CHECK(load_config<TracingConfig>("", {"run.device=auto"}).run.device == RunDevice::automatic);
    CHECK(load_config<TracingConfig>("", {"run.device=cpu"}).run.device == RunDevice::cpu);
    CHECK(load_config<TracingConfig>("", {"run.device=cuda"}).run.device == RunDevice::cuda);
    CHECK_FALSE(load_config<TracingConfig>("", {"sweep.subsets=none"}).sweep.subsets);
    CHECK(!load_config<TracingConfig>("", {"sweep.subset_layers=selected"}).sweep.subset_layers);
    CHECK(load_config<TracingConfig>("", {"sweep.subset_layers=all"}).sweep.subset_layers.value().text() == "all");
    CHECK(load_config<TracingConfig>("", {"controls.equal_norm=yes"}).controls.equal_norm);
}

TEST_CASE("doubles print as the shortest text that reads back to the same bits") {
    TracingConfig config;
    for (double value : {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, -2.5}) {
        config.cases.clean_margin = value;
        CHECK(parse_config<TracingConfig>(to_ini(config), "x").cases.clean_margin == value);
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
    CHECK(load_config<TracingConfig>(file, {}).noise.scale == 1);
    CHECK(load_config<TracingConfig>(file, {}).noise.seed == 1);
    CHECK(load_config<TracingConfig>(file, {}).cases.limit == 1);
    const Variable variable("MOESWEEP_NOISE_SCALE", "2");
    const Variable long_name("MOESWEEP_CASES_CLEAN_MARGIN", "0.25");
    CHECK(load_config<TracingConfig>(file, {}).noise.scale == 2);
    CHECK(load_config<TracingConfig>(file, {}).cases.clean_margin == 0.25);
    CHECK(load_config<TracingConfig>(file, {"noise.scale=3"}).noise.scale == 3);
    CHECK(parse_config<TracingConfig>("[noise]\nscale = 1", "x").noise.scale ==
          1);  // a stored configuration knows no environment
}

TEST_CASE("only what the scan or the unit files depend on is a run's identity") {
    CHECK(keys_that(true) == std::vector<std::string>{"model.precision",
                                                      "model.bos",
                                                      "cases.seed",
                                                      "cases.limit",
                                                      "cases.clean_margin",
                                                      "cases.noise_drop",
                                                      "cases.object_token",
                                                      "noise.scale",
                                                      "noise.seed",
                                                      "sweep.layers",
                                                      "sweep.blocks",
                                                      "sweep.experts",
                                                      "sweep.coalitions",
                                                      "sweep.subsets",
                                                      "sweep.subset_layers",
                                                      "scale_up.limit",
                                                      "scale_up.clean_margin",
                                                      "scale_up.noise_drop",
                                                      "run.unit",
                                                      "run.device",
                                                      "store.vectors"});
    CHECK(keys_that(false) == std::vector<std::string>{"model.path",
                                                       "model.weights",
                                                       "cases.path",
                                                       "cases.discovery",
                                                       "noise.draws",
                                                       "noise.scales",
                                                       "select.recurrence",
                                                       "controls.random",
                                                       "controls.seed",
                                                       "controls.equal_norm",
                                                       "scale_up.discovery",
                                                       "scale_up.recurrence",
                                                       "stability.split_seeds",
                                                       "stability.thresholds",
                                                       "stability.folds",
                                                       "stats.bootstrap",
                                                       "stats.sign_flips",
                                                       "stats.seed",
                                                       "parallel.experts",
                                                       "run.out",
                                                       "run.log",
                                                       "run.progress",
                                                       "run.memory",
                                                       "run.max_hours",
                                                       "run.watchdog"});
}
