#include "moesweep/xici/rate.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "moesweep/text/words.h"
#include "moesweep/xici/agreement.h"
#include "moesweep/xici/questions.h"
#include "support.h"

using namespace moesweep;

namespace {

/// A made-up answer, the known one, the language.
using Case = std::tuple<std::string, std::string, std::string>;

/// Whether the words of one of `known` are, each alone, part of the text: much less than is_right asks for.
bool shares_a_word(const std::string& text, const std::vector<std::string>& known) {
    const auto there = folded_words(text);
    return std::ranges::any_of(known, [&](const std::string& each) {
        return std::ranges::any_of(folded_words(each), [&](const std::string& word) {
            return std::ranges::any_of(there, [&](const std::string& other) { return other.starts_with(word); });
        });
    });
}

bool right(const Case& one) {
    const auto& [answer, known, language] = one;
    return is_right(answer, {known}, language);
}

}  // namespace

TEST_CASE("an answer is right if it contains a known one") {
    const Case one = GENERATE(values<Case>({
        {"Paris", "Paris", "fr"},
        {"**PARIS**.", "paris", "fr"},
        {"\nIt is Paris, of course.", "Paris", "en"},
        {"New York City", "New York", "en"},
        {"new-york", "New York", "en"},
        {"The Beatles", "Beatles", "en"},
        {"Beatles", "The Beatles", "en"},
        {"It was a Beatles song", "The Beatles", "en_Latn"},
        {"president of United States", "President of the United States", "eng_Latn"},
        {"president of the United States", "President of United States", "en-paraphrase-3"},
        {"Vitamin A.", "vitamin A", "en"},
        {"A", "a", "en"},
        {"C’est l’Alberta !", "Alberta", "fr"},
        {"Alberta", "L'Alberta", "fra_Latn"},
        {"El Salvador", "El Salvador", "es"},
        {"Salvador", "El Salvador", "es"},
        {"En la república del Salvador", "El Salvador", "es"},
        {"Die Vereinigten Staaten", "Vereinigten Staaten", "xx"},
        {"Στην Τουρκία", "τουρκία", "el"},
        {"العاصمة هي القاهرة", "قاهرة", "ar"},
        {"قاهرة", "القاهرة", "arb_Arab"},
        {"答えはアルバータ州です。", "アルバータ州", "ja"},
        {"首都是 北京 市", "北京市", "zh"},
        {"共136次。", "136 次", "zh"},
        {"เมืองหลวงคือกรุงเทพมหานครครับ", "กรุงเทพมหานคร", "th"},
        {"터키입니다.", "터키", "ko"},
        {"정답은 앨버타주이며", "앨버타주", "ko"},
        {"서울에서는", "서울", "ko"},
        {"Tesla입니다", "Tesla", "ko"},
        {"308점입니다", "308", "ko"},
        {"Türkiye'dir", "türkiye", "tr"},
        {"İSTANBUL", "istanbul", "tr"},
        {"About 1,000 people", "1000", "en"},
        {"1.000", "1,000", "de"},
        {"٣٠٨", "308", "ar"},
    }));
    INFO(std::get<0>(one) << " / " << std::get<1>(one));
    CHECK(right(one));
}

TEST_CASE("an answer is wrong if it contains no known one as whole words") {
    const Case one = GENERATE(values<Case>({
        {"", "Paris", "fr"},
        {"...", "Paris", "fr"},
        {"Parisian", "Paris", "en"},
        {"York New", "New York", "en"},
        {"New old York", "New York", "en"},
        {"New", "New York", "en"},
        {"Vitamin C", "Vitamin A", "en"},
        {"Vitamin", "Vitamin A", "en"},
        {"B", "A", "en"},
        {"San Salvador", "El Salvador", "es"},
        {"Den Haag", "The Hague", "nl"},
        {"The United States", "United the States", "xx"},  // no language with articles
        {"الف", "لف", "ar"},
        {"القاهرة", "قاهرة", "fa"},
        {"インド", "インドネシア", "ja"},
        {"인도네시아", "인도", "ko"},
        {"남인도", "인도", "ko"},
        {"이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다이다", "이다", "ko"},
        {"1308", "308", "en"},
        {"30.8", "308", "en"},
        {"3,080", "308", "en"},
        {"35", "3,5", "de"},
        {"C", "C++", "en"},
        {"?", "?", "en"},
    }));
    INFO(std::get<0>(one) << " / " << std::get<1>(one));
    CHECK_FALSE(right(one));
}

TEST_CASE("any alias counts") {
    CHECK(is_right("It is Burma.", {"Myanmar", "Burma"}, "en"));
    CHECK_FALSE(is_right("It is Siam.", {"Myanmar", "Burma"}, "en"));
    CHECK_FALSE(is_right("It is Siam.", {}, "en"));
}

TEST_CASE("every known answer of the shared files is right, and none of another question without a word of it") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: MOESWEEP_SHARED is not set");
        return;
    }
    const char* file = GENERATE("klar_qa.jsonl", "xquad_short.jsonl", "bmlama53_cloze.jsonl");
    const auto questions = read_questions(*shared / "data/multilingual" / file);
    const auto find = [](const Question& question, const std::string& language) -> const Variant* {
        for (const Variant& variant : question.variants)
            if (variant.language == language) return &variant;
        return nullptr;
    };
    std::size_t others = 0;
    for (std::size_t i = 0; i < questions.size(); ++i)
        for (const Variant& variant : questions[i].variants) {
            for (const std::string& answer : variant.answers) {
                INFO(questions[i].id << " " << variant.language << " " << answer);
                CHECK(is_right(answer, {answer}, variant.language));
                CHECK(is_right("\"" + answer + "\".\n", variant.answers, variant.language));
            }
            const Variant* other = find(questions[(i + 1) % questions.size()], variant.language);
            if (!other || shares_a_word(other->answers[0], variant.answers)) continue;
            ++others;
            INFO(questions[i].id << " " << variant.language << " " << other->answers[0]);
            CHECK_FALSE(is_right(other->answers[0], variant.answers, variant.language));
        }
    CHECK(others > questions.size());
}

TEST_CASE("the rater's prompt has each placeholder once, and texts with braces stay") {
    const RaterPrompt prompt("{answer}? {{question}} = {reference}!");
    CHECK(prompt.fill("q {answer}", "r", "{question}") == "{question}? {q {answer}} = r!");
    const auto refusal = [](const std::string& pattern) {
        const Failure failure = failure_of([&] { RaterPrompt made(pattern); });
        CHECK(failure.code == Exit::usage);
        return failure.message;
    };
    CHECK(refusal("") == "rate.prompt: expected {question} exactly once, got it 0 times");
    CHECK(refusal("{question} {reference} {anwser}") == "rate.prompt: expected {answer} exactly once, got it 0 times");
    CHECK(refusal("{question} {answer} {reference} {reference}") ==
          "rate.prompt: expected {reference} exactly once, got it 2 times");
}

TEST_CASE("a verdict is the first word") {
    for (const char* said : {"YES", "yes.", " **Yes**, it is", "\n\"YES\"", "ＹＥＳ", "Yes\nNO"})
        CHECK(parse_verdict(said) == true);
    for (const char* said : {"NO", "no", "No, though YES", "(no)"}) CHECK(parse_verdict(said) == false);
    for (const char* said : {"", "...", "Yesterday", "The answer is YES", "nope", "Oui", "да", "1"})
        CHECK(parse_verdict(said) == std::nullopt);
}

TEST_CASE("agreement and kappa are those of a table") {
    // the worked example of Cohen's kappa in most textbooks: 20, 5, 10, 15 of 50
    const Agreement table{20, 5, 10, 15};
    CHECK(table.items() == 50);
    CHECK(table.observed() == Approx(0.7).epsilon(1e-15));
    CHECK(table.expected() == Approx(0.5).epsilon(1e-15));
    CHECK(table.kappa() == Approx(0.4).epsilon(1e-15));

    const Agreement counted = agreement({true, true, false, false, true}, {true, false, true, false, true});
    CHECK(counted.both_right == 2);
    CHECK(counted.first_alone_right == 1);
    CHECK(counted.second_alone_right == 1);
    CHECK(counted.both_wrong == 1);

    CHECK(Agreement{3, 0, 0, 4}.kappa() == 1);
    CHECK(Agreement{0, 2, 2, 0}.kappa() == -1);
    CHECK(Agreement{3, 0, 4, 0}.kappa() == 0);  // the second rater finds all right
    CHECK(Agreement{0, 0, 3, 7}.kappa() == 0);  // the first finds none
    CHECK(Agreement{7, 0, 0, 0}.kappa() == 0);
    CHECK(Agreement{7, 0, 0, 0}.observed() == 1);
    CHECK(Agreement{0, 0, 0, 7}.kappa() == 0);
    CHECK(Agreement{}.kappa() == 0);
    CHECK(Agreement{}.observed() == 0);
    CHECK(failure_of([] { agreement({true}, {}); }).code == Exit::internal);
}
