#include "moesweep/text/words.h"

#include <catch2/catch.hpp>

#include "support.h"

using namespace moesweep;

namespace {

/// The words with | between them.
std::string cut(std::string_view text) {
    std::string joined;
    for (const std::string& word : folded_words(text)) joined += (joined.empty() ? "" : "|") + word;
    return joined;
}

}  // namespace

TEST_CASE("words are folded as Unicode says") {
    // CPython: unicodedata.normalize("NFKC", text).casefold(), normalised again
    CHECK(cut("Straße ΟΔΟΣ ﬁn Ｔｏｋｙｏ") == "strasse|οδοσ|fin|tokyo");
    CHECK(cut("Caf\u00e9") == cut("Cafe\u0301"));
    CHECK(cut("ｱﾙﾊﾞｰﾀ") == cut("アルバータ"));
    CHECK(cut("한국") == cut("\u1112\u1161\u11ab\u1100\u116e\u11a8"));
    CHECK(cut("x²") == "x2");
    CHECK(cut("so\u00adft zero\u200bwidth \u200eleft\u200f") == "soft|zerowidth|left");
    CHECK(cut("م\u0640\u0640صر") == cut("مصر"));
}

TEST_CASE("Turkish dotted and dotless i are one letter") {
    CHECK(cut("İstanbul ISPARTA Isparta ısparta ispaRta") == "istanbul|isparta|isparta|isparta|isparta");
}

TEST_CASE("spaces, punctuation and apostrophes separate words; symbols are words") {
    CHECK(cut("  **Jean-Paul**,\u00a0(l'Alberta) \u2014 O\u2019Brien…\n\u00bfs\u00ed?") ==
          "jean|paul|l|alberta|o|brien|sí");
    CHECK(cut("C++ `x` $5 50%") == "c|+|+|x|$|5|50");
    CHECK(cut("п\u2019ять п\u02bcять") == "п|ять|п|ять");
    CHECK(cut("l\u00b4Alberta") == "l|alberta");  // an acute accent in place of an apostrophe
    CHECK(cut("?!… \u3002\u060c").empty());
    CHECK(cut("").empty());
    CHECK(cut(std::string_view("a\0b", 3)) == "a|b");
}

TEST_CASE("a full stop is dropped within an abbreviation alone") {
    CHECK(cut("U.S.A. U.S. USA") == "usa|us|usa");
    CHECK(cut("J. R. R. Tolkien, J.R.R. Tolkien") == "jrr|tolkien|jrr|tolkien");
    CHECK(cut("It is Paris.It is A. Then") == "it|is|paris|it|is|a|then");
    CHECK(cut("the U.S. A. Smith") == "the|us|a|smith");
    CHECK(cut("A.") == "a");
    CHECK(cut("x. 5") == "x|5");
}

TEST_CASE("in scripts that do not separate words each character is one, with its marks") {
    CHECK(cut("答えはアルバータ州です。") == "答|え|は|ア|ル|バ|ー|タ|州|で|す");
    CHECK(cut("ヴァージニア・ウルフ") == cut("ヴァージニアウルフ"));
    CHECK(cut("136 次 iPhone手机") == "136|次|iphone|手|机");
    CHECK(cut("ที่นี่") == "ที่|นี่");
    CHECK(cut("ភ្នំ") == "ភ្|នំ");
    CHECK(cut("दिल्ली में") == "दिल्ली|में");  // Devanagari separates
    CHECK(cut("터키 인도네시아") == "터키|인도네시아");
}

TEST_CASE("numbers are one word however their digits are written and grouped") {
    CHECK(cut("1,000; 1.000; 1'000; 1\u202f000; 1\u2019000; 1 000; 1000") == "1000|1000|1000|1000|1000|1000|1000");
    CHECK(cut("12,345,678.9 and 12.345.678,9") == "12345678.9|and|12345678.9");
    CHECK(cut("3,5 3.5 0.125 10,25") == "3.5|3.5|0.125|10.25");
    CHECK(cut("05.10.2020 1,2,3 1.2.3 5'11 12:30") == "05|10|2020|1|2|3|1|2|3|5|11|12|30");
    CHECK(cut("in 2020 1,000 people, 1,000 2,000") == "in|2020|1000|people|1000|2000");
    CHECK(cut("7 12 1234 567 12 34") == "7|12|1234|567|12|34");
    CHECK(cut("308. 308,") == "308|308");
    CHECK(cut("٣٠٨; ۳۰۸; ३०८; ๓๐๘; ３０８; 𝟑𝟎𝟖") == "308|308|308|308|308|308");
    CHECK(cut("١٬٠٠٠ ٣٫٥") == "1000|3.5");
    CHECK(cut("5th B2B covid19 136점입니다 제2차") == "5th|b2b|covid19|136|점입니다|제|2|차");
}

TEST_CASE("a text that is not UTF-8 is a mistake of the caller") {
    CHECK(failure_of([] { folded_words("a\xff"); }).code == Exit::internal);
}
