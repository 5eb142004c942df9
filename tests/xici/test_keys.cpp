#include "moesweep/xici/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include <catch2/catch.hpp>

#include "moesweep/base/files.h"
#include "support.h"

using namespace moesweep;

namespace {

using Words = std::vector<std::string>;

Words keys_that(bool identity) {
    Words names;
    for (const Setting& setting : settings(XiciConfig{}))
        if (setting.identity == identity) names.push_back(setting.key);
    return names;
}

}  // namespace

TEST_CASE("reference-xici.ini documents every key with its default") {
    const std::string file = read_file(MOESWEEP_CONFIGS "/reference-xici.ini");
    const std::string defaults = to_ini(XiciConfig{});
    INFO("moesweep xici --print-config writes what must stand in configs/reference-xici.ini below its heading");
    REQUIRE(file.size() > defaults.size());
    CHECK(file.substr(file.size() - defaults.size()) == defaults);
    CHECK(to_ini(parse_config<XiciConfig>(file, "reference-xici.ini")) == defaults);
}

TEST_CASE("the defaults are the paper's") {
    const XiciConfig config;
    CHECK(config.ask.system == "In just a few words, answer in the language of the question.");
    CHECK(config.capture.tokens == CaptureTokens::all);
    CHECK(config.identify.blacklist_top == 0.01);
    CHECK(config.identify.blacklist_share == 0.05);
    CHECK(config.identify.subtract_mean);
    CHECK(config.identify.alpha == 0.05);
    CHECK(config.identify.cap == 25);
    CHECK(config.deactivate.by == Deactivation::minimum);
    CHECK(config.deactivate.draws == 1);
    CHECK(config.deactivate.shuffled);
    for (const char* field : {"{question}", "{reference}", "{answer}"})
        CHECK(config.rate.prompt.find(field) != std::string::npos);
}

TEST_CASE("every kind of value is read, printed and read back, for xici") {
    const Words overrides = {"questions.path=q.jsonl",
                             "questions.datasets=ECLeKTic,Global MMLU",
                             "questions.languages=en,id,zh-Hans",
                             "questions.limit=7",
                             "ask.system=",
                             "ask.chat=custom",
                             R"(ask.prefix=\s<|user|>\n# not a comment; "quoted"\s)",
                             R"(ask.infix=\\n\t\r\n)",
                             R"(ask.suffix=\s)",
                             "ask.max_tokens=3",
                             "capture.tokens=answer",
                             "rate.by=file",
                             "rate.model=m",
                             "rate.system=x",
                             "rate.prompt={question}{reference}{answer}",
                             "rate.file=r.jsonl",
                             "identify.layers=6-41",
                             "identify.blacklist_top=1",
                             "identify.blacklist_share=0",
                             "identify.subtract_mean=no",
                             "identify.p_value=exact",
                             "identify.alpha=0.01",
                             "identify.tau=0.003",
                             "identify.cap=65",
                             "deactivate.by=ban",
                             "deactivate.draws=0",
                             "deactivate.seed=-3",
                             "deactivate.random_blacklisted=no",
                             "deactivate.shuffled=no",
                             "deactivate.same_relation=yes",
                             "deactivate.permuted=yes",
                             "deactivate.singles=yes",
                             "deactivate.caps=5,15,65"};
    const XiciConfig config = load_config<XiciConfig>("", overrides);
    CHECK(config.questions.datasets == Words{"ECLeKTic", "Global MMLU"});
    CHECK(config.questions.languages == Words{"en", "id", "zh-Hans"});
    CHECK(config.ask.system.empty());
    CHECK(config.ask.chat == Chat::custom);
    CHECK(config.ask.prefix == " <|user|>\n# not a comment; \"quoted\" ");
    CHECK(config.ask.infix == "\\n\t\r\n");
    CHECK(config.ask.suffix == " ");
    CHECK(config.capture.tokens == CaptureTokens::answer);
    CHECK(config.rate.by == RateBy::file);
    CHECK(config.identify.layers.value().of_model(48, "identify.layers").size() == 36);
    CHECK_FALSE(config.identify.subtract_mean);
    CHECK(config.identify.p_value == PValue::exact);
    CHECK(config.identify.tau == 0.003);
    CHECK(config.deactivate.by == Deactivation::ban);
    CHECK_FALSE(config.deactivate.random_blacklisted);
    CHECK(config.deactivate.caps.values() == std::vector<std::int64_t>{5, 15, 65});

    const XiciConfig again = parse_config<XiciConfig>(to_ini(config), "again");
    CHECK(to_ini(again) == to_ini(config));
    CHECK(again.ask.prefix == config.ask.prefix);
    const auto after = settings(again);
    for (const std::string& text : overrides) {  // each is printed as it was given
        INFO(text);
        CHECK(std::ranges::any_of(after, [&](const Setting& s) { return s.key + "=" + s.value == text; }));
    }
    CHECK(!load_config<XiciConfig>("", {"identify.layers=auto"}).identify.layers);
    CHECK(!load_config<XiciConfig>("", {"identify.tau=auto"}).identify.tau);
    CHECK(load_config<XiciConfig>("", {"ask.chat=none"}).ask.chat == Chat::none);
    CHECK(load_config<XiciConfig>("", {"rate.by=model"}).rate.by == RateBy::model);
    CHECK(load_config<XiciConfig>("", {"deactivate.by=minus-infinity"}).deactivate.by == Deactivation::minus_infinity);
}

TEST_CASE("a text survives the INI file, whatever its characters") {
    for (const std::string text :
         {"", " ", "   ", "\n", "\\", "\\n", " a  b ", "\ta\r", "#", ";x", "[s]", "a = b", "ü\n"}) {
        XiciConfig config;
        config.ask.suffix = text;
        CHECK(parse_config<XiciConfig>(to_ini(config), "x.ini").ask.suffix == text);
    }
    CHECK(load_config<XiciConfig>("", {"ask.suffix=a\nb"}).ask.suffix == "a\nb");  // as a shell's $'a\nb' gives it
}

TEST_CASE("a text, a list of words or a share that is none is refused") {
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {R"(ask.suffix=\x)", R"(a text with a backslash only in \n, \t, \r, \s and \\)"},
        {R"(ask.suffix=a\)", R"(a text with a backslash only in \n, \t, \r, \s and \\)"},
        {"questions.languages=en,", "different words such as a,b,c, or nothing"},
        {"questions.languages=en, de", "different words such as a,b,c, or nothing"},
        {"questions.languages=en,de,en", "different words such as a,b,c, or nothing"},
        {"identify.alpha=1.5", "a number from 0 to 1"},
        {"identify.alpha=nan", "a number from 0 to 1"},
        {"identify.blacklist_top=-0.1", "a number from 0 to 1"},
        {"identify.tau=inf", "auto or a number >= 0"},
        {"identify.tau=-1", "auto or a number >= 0"},
        {"identify.layers=", "auto, all, or layers such as 0-3,7"},
        {"identify.layers=selected", "auto, all, or layers such as 0-3,7"},
        {"identify.cap=0", "a whole number from 1 to 2147483647"},
    }));
    const std::string key = text.substr(0, text.find('=')), value = text.substr(text.find('=') + 1);
    const Failure failure = failure_of([&, given = text] { load_config<XiciConfig>("", {given}); });
    CHECK(failure.code == Exit::usage);
    CHECK(failure.message == fmt::format("--{}: expected {}, got '{}'", key, expected, value));
}

TEST_CASE("only what answers and captures depend on is an XICI run's identity") {
    CHECK(keys_that(true) == Words{"model.precision", "model.bos", "questions.datasets", "questions.languages",
                                   "questions.limit", "ask.system", "ask.chat", "ask.prefix", "ask.infix", "ask.suffix",
                                   "ask.max_tokens", "run.unit", "run.device"});
    const Words others = keys_that(false);
    for (const char* name : {"questions.path", "capture.tokens", "rate.by", "rate.model", "rate.file",
                             "identify.layers", "identify.tau", "identify.cap", "deactivate.draws", "deactivate.caps"})
        CHECK(std::ranges::count(others, name) == 1);
}
