#include "moesweep/tracing/cases.h"

#include <algorithm>
#include <limits>
#include <set>

#include <catch2/catch.hpp>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"
#include "moesweep/base/json.h"
#include "moesweep/stats/python_random.h"
#include "support.h"

using namespace moesweep;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A byte-level BPE tokenizer over the letters a to z: words " ab", " abc", "x", " x", " y" are one token.
Json letters() {
    Json vocabulary, merges = Json::array();
    const auto add = [&](const std::string& piece) { vocabulary.emplace(piece, vocabulary.size()); };
    for (char c = 'a'; c <= 'z'; c++) add(std::string(1, c));
    const std::string space = "\u0120";
    add(space);
    add("\u00c3");  // the two bytes of U+00E9 in the byte alphabet
    add("\u00a9");
    const std::vector<std::pair<std::string, std::string>> pairs = {
        {space, "a"}, {space + "a", "b"}, {space + "ab", "c"}, {space, "x"}, {space, "y"}};
    for (const auto& [left, right] : pairs) {
        add(left + right);
        merges.push_back({left, right});
    }
    const Json level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}};
    return {{"version", "1.0"},
            {"added_tokens", Json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", level},
            {"post_processor", level},
            {"model", {{"type", "BPE"}, {"byte_fallback", false}, {"vocab", vocabulary}, {"merges", merges}}}};
}

/// The same with a BOS token "<s>" that the post-processor prepends.
Json letters_with_bos() {
    Json json = letters();
    const int id = static_cast<int>(json["model"]["vocab"].size());
    json["added_tokens"] = {{{"id", id},
                             {"content", "<s>"},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", true}}};
    const Json single = {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                         {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
    json["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", single},
                              {"pair", single},
                              {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {id}}, {"tokens", {"<s>"}}}}}}};
    return json;
}

Tokenizer tokenizer_of(const Json& json) {
    const Scratch folder;
    write_file_atomically(folder / "tokenizer.json", json.dump());
    return Tokenizer(folder.folder());
}

Fact fact(const std::string& before, const std::string& subject, const std::string& after) {
    return {.case_id = 5,
            .relation = "P1",
            .subject = subject,
            .prompt = before + subject + after,
            .true_text = "x",
            .foil_text = "y",
            .subject_offset = code_points(before)};
}

TracingConfig with_bos(Bos bos) {
    TracingConfig config;
    config.model.bos = bos;
    return config;
}

std::pair<int, int> span(const Case& item) {
    return {item.subject_begin, item.subject_end};
}

std::vector<Case> usable_cases(std::size_t n) {
    std::vector<Case> cases(n);
    for (std::size_t i = 0; i < n; i++) cases[i].record = static_cast<std::int32_t>(i);
    return cases;
}

using Indices = std::vector<std::int32_t>;

/// A study of so many cases, so many of them for discovery.
TracingConfig halves(std::int64_t limit, std::int64_t discovery) {
    TracingConfig config;
    config.cases.limit = limit;
    config.cases.discovery = discovery;
    return config;
}

std::vector<std::int64_t> case_ids(const std::vector<Case>& cases, const Indices& order, std::size_t begin,
                                   std::size_t end) {
    std::vector<std::int64_t> ids;
    for (std::size_t i = begin; i < end; i++) ids.push_back(cases[static_cast<std::size_t>(order[i])].fact.case_id);
    return ids;
}

}  // namespace

TEST_CASE("records are scanned in the paper's order") {
    const std::vector<std::size_t> order = scan_order(21919, 0);
    REQUIRE(order.size() == 21919);
    CHECK(std::vector(order.begin(), order.begin() + 10) ==
          std::vector<std::size_t>{11405, 3799, 4626, 6842, 7128, 7515, 6615, 17549, 3722, 19965});
    CHECK(std::set(order.begin(), order.end()).size() == 21919);
    CHECK(scan_order(0, 0).empty());
}

TEST_CASE("a token belongs to the subject if its characters overlap the subject's") {
    const Tokenizer tokenizer = tokenizer_of(letters());
    const TracingConfig config;
    // "q", " abc", "d", " z": the third is 'd'
    CHECK(span(make_case(tokenizer, config, fact("q ", "abcd", " z"), 0)) == std::pair(1, 3));
    CHECK(span(make_case(tokenizer, config, fact("q a", "b", "cd z"), 0)) == std::pair(1, 2));  // inside a token
    CHECK(span(make_case(tokenizer, config, fact("q abc", "d", " z"), 0)) == std::pair(2, 3));
    CHECK(span(make_case(tokenizer, config, fact("", "q", " abc"), 0)) == std::pair(0, 1));
    // two letters of two bytes each, before and in the subject: offsets count characters
    const Case accented = make_case(tokenizer, config, fact("\u00e9 ", "\u00e9", "q"), 0);
    CHECK(accented.tokens.size() == 6);
    CHECK(span(accented) == std::pair(3, 5));

    Fact outside = fact("q", "z", "");
    outside.subject_offset = 7;
    const Case none = make_case(tokenizer, config, outside, 3);
    CHECK(none.status == Status::subject_not_found);
    CHECK(span(none) == std::pair(0, 0));
    CHECK(none.record == 3);
}

TEST_CASE("BOS is prepended as model.bos says, and the span moves with it") {
    const Fact item = fact("q ", "abcd", " z");
    const Tokenizer plain = tokenizer_of(letters()), template_bos = tokenizer_of(letters_with_bos());
    const std::vector<std::int32_t> tokens = make_case(plain, with_bos(Bos::no), item, 0).tokens;
    CHECK(make_case(plain, with_bos(Bos::automatic), item, 0).tokens == tokens);
    CHECK(make_case(template_bos, with_bos(Bos::no), item, 0).tokens == tokens);
    for (const Bos bos : {Bos::automatic, Bos::yes}) {
        const Case begun = make_case(template_bos, with_bos(bos), item, 0);
        std::vector<std::int32_t> expected = tokens;
        expected.insert(expected.begin(), template_bos.size() - 1);
        CHECK(begun.tokens == expected);
        CHECK(span(begun) == std::pair(2, 4));
    }
    const Failure failure = failure_of([&] { make_case(plain, with_bos(Bos::yes), item, 0); });
    CHECK(failure.code == Exit::data);
    CHECK(failure.message == "tokenizer.json: bos_token: expected one, because model.bos = yes, got none");
}

TEST_CASE("objects become one token each by the rule, or the case says why not") {
    const Tokenizer tokenizer = tokenizer_of(letters());
    const std::int32_t bare_x = tokenizer.encode("x").ids.at(0), x = tokenizer.encode(" x").ids.at(0);
    const std::int32_t y = tokenizer.encode(" y").ids.at(0), abc = tokenizer.encode(" abc").ids.at(0);
    const auto make = [&](const char* true_text, const char* foil_text, ObjectToken rule) {
        Fact item = fact("q ", "z", "");
        item.true_text = true_text;
        item.foil_text = foil_text;
        TracingConfig config;
        config.cases.object_token = rule;
        return make_case(tokenizer, config, item, 0);
    };
    const Case usable = make("x", "y", ObjectToken::leading_space);
    CHECK(usable.status == Status::usable);
    CHECK(std::pair(usable.true_id, usable.foil_id) == std::pair(x, y));
    const Case bare = make("x", "abc", ObjectToken::bare_or_space);  // "abc" is three tokens, " abc" is one
    CHECK(std::pair(bare.true_id, bare.foil_id) == std::pair(bare_x, abc));

    const Case bad_true = make("qq", "y", ObjectToken::leading_space);
    CHECK(bad_true.status == Status::true_not_single_token);
    CHECK(std::pair(bad_true.true_id, bad_true.foil_id) == std::pair(-1, y));
    const Case bad_foil = make("x", "qq", ObjectToken::leading_space);
    CHECK(bad_foil.status == Status::foil_not_single_token);
    CHECK(std::pair(bad_foil.true_id, bad_foil.foil_id) == std::pair(x, -1));
    CHECK(make("x", "x", ObjectToken::leading_space).status == Status::same_token);
}

TEST_CASE("margins are least values, -inf switches one off, NaN passes none") {
    TracingConfig::Cases rules;
    CHECK(judge_margins(rules, 1.0, 0.5) == Status::usable);
    CHECK(judge_margins(rules, 0.999, -9) == Status::clean_margin_too_small);
    CHECK(judge_margins(rules, 1.0, 0.75) == Status::noise_drop_too_small);
    CHECK(judge_margins(rules, 5.0, 7.0) == Status::noise_drop_too_small);
    rules.clean_margin = -infinity;
    CHECK(judge_margins(rules, -3.0, -4.0) == Status::usable);
    rules.noise_drop = -infinity;
    CHECK(judge_margins(rules, -3.0, 4.0) == Status::usable);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(judge_margins(rules, nan, 0) == Status::clean_margin_too_small);
    CHECK(judge_margins(rules, 1.0, nan) == Status::noise_drop_too_small);
}

TEST_CASE("only the study's cases are split, the first of the shuffle into discovery") {
    std::vector<Case> cases = usable_cases(9);
    cases[2].status = Status::noise_drop_too_small;
    cases[2].split = cases[2].relaxed_split = Split::discovery;  // left over from another split
    TracingConfig config = halves(8, 3);
    config.cases.limit = 7;  // the last one was scanned for the relaxed study
    split_cases(config, cases);
    const Indices members = {0, 1, 3, 4, 5, 6, 7}, order = split_order(members, 0);
    CHECK(study_cases(config, cases) == members);
    Indices expected = members;
    PythonRandom(0).shuffle(expected);
    CHECK(order == expected);
    CHECK(cases[2].split == Split::none);
    CHECK(cases[8].split == Split::none);
    for (std::size_t i = 0; i < order.size(); i++)
        CHECK(cases[static_cast<std::size_t>(order[i])].split == (i < 3 ? Split::discovery : Split::validation));
    CHECK(std::ranges::count(cases, Split::none, &Case::relaxed_split) == 9);  // no relaxed study was asked for

    split_cases(halves(0, 100), cases);  // fewer cases than wanted: nothing is left to validate
    CHECK(std::ranges::count(cases, Split::discovery, &Case::split) == 8);
    config.cases.seed = 5;
    split_cases(config, cases);
    CHECK(cases[static_cast<std::size_t>(split_order(members, 5)[0])].split == Split::discovery);
    CHECK(split_order(members, 5) != order);
    CHECK(split_order({}, 0).empty());
}

TEST_CASE("a study has the first usable cases, as many as it asks for") {
    std::vector<Case> cases = usable_cases(5);
    cases[1].status = Status::same_token;
    cases[3].status = Status::clean_margin_too_small;
    CHECK(study_cases(halves(0, 1), cases) == Indices{0, 2, 4});
    CHECK(study_cases(halves(2, 1), cases) == Indices{0, 2});
    CHECK(study_cases(halves(9, 1), cases) == Indices{0, 2, 4});
    CHECK(study_cases(halves(9, 1), {}).empty());
}

TEST_CASE("the relaxed study judges every case that was run by its own filters") {
    // strict; too little margin, drop, or both; never run; hardly any drop
    std::vector<Case> cases = usable_cases(6);
    const double clean[] = {2.0, 0.5, 3.0, 0.4, 9.0, 5.0}, noised[] = {1.0, 0.0, 2.75, 0.4, 0.0, 4.9};
    for (std::size_t i = 0; i < cases.size(); i++) {
        cases[i].delta_clean = clean[i];
        cases[i].delta_noised = noised[i];
        cases[i].status = judge_margins(TracingConfig::Cases{}, clean[i], noised[i]);
    }
    cases[4].status = Status::subject_not_found;
    REQUIRE(study_cases({}, cases) == Indices{0});

    TracingConfig config;
    CHECK(relaxed_cases(config, cases).empty());  // scale_up.limit = 0
    config.scale_up.limit = 100;
    CHECK(relaxed_cases(config, cases) == Indices{0, 1, 2});
    config.scale_up.limit = 2;
    CHECK(relaxed_cases(config, cases) == Indices{0, 1});
    config.scale_up.clean_margin = 2.5;  // stricter than the study: then the two differ both ways
    CHECK(relaxed_cases(config, cases) == Indices{2});
    split_cases(config, cases);
    CHECK(cases_with(cases, &Case::split) == Indices{0});
    CHECK(cases_with(cases, &Case::relaxed_split) == Indices{2});
    CHECK(swept_cases(cases) == Indices{0, 2});
    config.scale_up.limit = 0;
    split_cases(config, cases);
    CHECK(swept_cases(cases) == Indices{0});
}

TEST_CASE("the relaxed study is split by itself") {
    std::vector<Case> cases = usable_cases(20);
    for (std::size_t i = 0; i < cases.size(); i++) {
        cases[i].delta_clean = 3;
        cases[i].status = i % 3 ? Status::usable : Status::clean_margin_too_small;
    }
    TracingConfig config = halves(8, 4);
    config.cases.seed = 3;
    config.scale_up.limit = 15;
    config.scale_up.discovery = 6;
    split_cases(config, cases);
    const Indices strict = split_order(study_cases(config, cases), 3),
                  relaxed = split_order(relaxed_cases(config, cases), 3);
    REQUIRE(strict.size() == 8);
    REQUIRE(relaxed.size() == 15);
    CHECK(swept_cases(cases).size() == 15);
    for (std::size_t i = 0; i < strict.size(); i++)
        CHECK(cases[static_cast<std::size_t>(strict[i])].split == (i < 4 ? Split::discovery : Split::validation));
    for (std::size_t i = 0; i < relaxed.size(); i++)
        CHECK(cases[static_cast<std::size_t>(relaxed[i])].relaxed_split ==
              (i < 6 ? Split::discovery : Split::validation));
    CHECK(std::ranges::count(cases, Split::none, &Case::split) == 12);
    CHECK(std::ranges::count(cases, Split::none, &Case::relaxed_split) == 5);
}

TEST_CASE("CounterFact on the real tokenizers: the single-token counts and the paper's split") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: MOESWEEP_SHARED is not set");
        return;
    }
    struct Model {
        const char *name, *folder;
        Bos bos;
        std::int64_t single_token;        // records whose two objects are one token each
        std::int64_t scanned;             // the paper's cases lie among so many records, in scan order
        std::int64_t early_single_token;  // single_token among those
    };
    const Model model = GENERATE(Model{"Qwen3", "qwen3", Bos::automatic, 21321, 390, 380},
                                 Model{"Mixtral", "mixtral", Bos::no, 10646, 581, 310});
    INFO(model.name);
    const std::vector<Fact> facts = read_facts(*shared / "data/counterfact.json");
    const Tokenizer tokenizer(*shared / "data/tokenizers" / model.folder);
    const Json ids = Json::parse(read_file(*shared / "paper/case_ids.json"))["cases"][model.name];
    const auto discovery = ids["discovery"].get<std::vector<std::int64_t>>();
    const auto validation = ids["validation"].get<std::vector<std::int64_t>>();
    std::set<std::int64_t> wanted(discovery.begin(), discovery.end());
    wanted.insert(validation.begin(), validation.end());
    REQUIRE(wanted.size() == 256);

    std::int64_t scanned = 0, single_token = 0, early_single_token = 0, without_subject = 0;
    std::vector<Case> kept;  // the paper's cases, in scan order
    for (const std::size_t record : scan_order(facts.size(), 0)) {
        const Case item = make_case(tokenizer, with_bos(model.bos), facts[record], static_cast<std::int32_t>(record));
        const bool single = item.true_id >= 0 && item.foil_id >= 0;
        single_token += single;
        early_single_token += single && scanned < model.scanned;
        scanned++;
        without_subject += item.subject_begin == item.subject_end;
        if (scanned <= model.scanned && wanted.contains(item.fact.case_id)) kept.push_back(item);
    }
    CHECK(single_token == model.single_token);
    CHECK(early_single_token == model.early_single_token);
    CHECK(without_subject == 0);
    REQUIRE(std::ranges::count(kept, Status::usable, &Case::status) == 256);

    split_cases(halves(256, 128), kept);
    const Indices order = split_order(study_cases(halves(256, 128), kept), 0);
    CHECK(case_ids(kept, order, 0, 128) == discovery);
    CHECK(case_ids(kept, order, 128, 256) == validation);
    CHECK(std::ranges::count(kept, Split::discovery, &Case::split) == 128);
    for (const Case& item : kept) {
        const bool discovers = std::ranges::find(discovery, item.fact.case_id) != discovery.end();
        CHECK(item.split == (discovers ? Split::discovery : Split::validation));
    }
}
