#include "moesweep/xici/rate.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "moesweep/base/error.h"
#include "moesweep/text/words.h"

namespace moesweep {
namespace {

using Words = std::vector<std::string>;
using WordSet = std::set<std::string, std::less<>>;

WordSet word_set(std::string_view text) {
    const Words words = folded_words(text);
    return {words.begin(), words.end()};
}

/// The articles of the language that has this code, folded as an answer's words are.
const WordSet& articles(std::string_view code) {
    struct Language {
        std::vector<std::string_view> codes;  // ISO 639-1, 639-2 and 639-3
        std::string_view articles;
    };
    static const std::map<std::string, WordSet, std::less<>> all = [] {
        std::map<std::string, WordSet, std::less<>> by_code;
        for (const auto& [codes, words] : std::vector<Language>{
                 {{"en", "eng"}, "a an the"},
                 {{"de", "deu", "ger"}, "der die das dem den des ein eine einem einen einer eines"},
                 {{"fr", "fra", "fre"}, "le la les l un une des au aux du"},
                 {{"es", "spa"}, "el la los las lo un una unos unas al del"},
                 {{"it", "ita"}, "il lo la l i gli le un uno una"},
                 {{"nl", "nld", "dut"}, "de het een"},
                 {{"pt", "por"}, "o a os as um uma uns umas"},
                 {{"ca", "cat"}, "el la l els les un una uns unes"},
                 {{"sv", "swe"}, "en ett den det de"},
                 {{"el", "ell", "gre"}, "ο η το οι τα του της των τον την τους τις ένας μία μια ένα"}})
            for (const std::string_view each : codes) by_code.emplace(each, word_set(words));
        return by_code;
    }();
    static const WordSet none;
    const auto at = all.find(code);
    return at == all.end() ? none : at->second;
}

/// A label's leading subtag, in lower case.
std::string code_of(std::string_view label) {
    std::string code(label.substr(0, label.find_first_of("-_")));
    std::ranges::transform(code, code.begin(), [](char c) { return 'A' <= c && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    return code;
}

/// Takes the article off an Arabic word, if three letters stay.
void drop_arabic_article(std::string& word) {
    constexpr std::string_view article = "\u0627\u0644";
    constexpr std::size_t three_letters = 3 * 2;  // bytes
    if (word.starts_with(article) && word.size() >= article.size() + three_letters) word.erase(0, article.size());
}

Words words_in(std::string_view text, std::string_view code) {
    Words words = folded_words(text);
    if (code == "ar" || code == "ara" || code == "arb") std::ranges::for_each(words, drop_arabic_article);
    return words;
}

/// Whether the text, which follows a noun, consists of Korean particles and forms of "to be", of `most` at most.
bool is_particles(std::string_view text, int most = 3) {
    static constexpr std::string_view particles[] = {
        "은",     "는",   "이",   "가",     "을",   "를",   "의",     "에",   "에서",   "와",       "과",
        "로",     "으로", "도",   "만",     "까지", "부터", "이며",   "이고", "라고",   "이라고",   "라는",
        "이라는", "다",   "이다", "입니다", "에요", "예요", "이에요", "였다", "이었다", "였습니다", "이었습니다"};
    return text.empty() ||
           (most > 0 && std::ranges::any_of(particles, [=](std::string_view particle) {
                return text.starts_with(particle) && is_particles(text.substr(particle.size()), most - 1);
            }));
}

bool ends_as(std::string_view word, std::string_view known) {
    return word.starts_with(known) && is_particles(word.substr(known.size()));
}

/// A known answer without the articles that do not count.
struct Known {
    Words words;
    bool has_article;  // in front

    Known(Words all, const WordSet& articles) : has_article(all.size() > 1 && articles.contains(all.front())) {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (i + 1 == all.size() || !articles.contains(all[i])) words.push_back(std::move(all[i]));
    }
};

/// Whether the known words, one at least, follow each other from words[at] on, articles between them aside.
bool matches_at(const Words& words, std::size_t at, const Words& known, const WordSet& articles) {
    for (std::size_t next = 0; at < words.size(); ++at) {
        if (next + 1 == known.size() && ends_as(words[at], known[next])) return true;
        if (words[at] == known[next])
            ++next;
        else if (next == 0 || !articles.contains(words[at]))
            return false;
    }
    return false;
}

bool contains(const Words& words, const Known& known, const WordSet& articles) {
    for (std::size_t at = 0; at < words.size(); ++at) {
        const bool may_begin = !known.has_article || at == 0 || articles.contains(words[at - 1]);
        if (may_begin && matches_at(words, at, known.words, articles)) return true;
    }
    return false;
}

constexpr std::array<std::string_view, 3> placeholders = {"{question}", "{reference}", "{answer}"};

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++n;
    return n;
}

}  // namespace

bool is_right(std::string_view answer, const std::vector<std::string>& known, std::string_view language) {
    const std::string code = code_of(language);
    const WordSet& ignored = articles(code);
    const Words words = words_in(answer, code);
    return std::ranges::any_of(known, [&](const std::string& each) {
        const Known wanted(words_in(each, code), ignored);
        return !wanted.words.empty() && contains(words, wanted, ignored);
    });
}

RaterPrompt::RaterPrompt(std::string pattern) : pattern_(std::move(pattern)) {
    for (std::size_t i = 0; i < placeholders.size(); ++i) {
        const std::string_view name = placeholders[i];
        if (const std::size_t n = count(pattern_, name); n != 1)
            fail(Exit::usage, "rate.prompt: expected {} exactly once, got it {} times", name, n);
        const std::size_t begin = pattern_.find(name);
        slots_.push_back({begin, begin + name.size(), i});
    }
    std::ranges::sort(slots_, {}, &Slot::begin);
}

std::string RaterPrompt::fill(std::string_view question, std::string_view reference, std::string_view answer) const {
    const std::array texts = {question, reference, answer};
    std::string prompt;
    std::size_t at = 0;
    for (const Slot& slot : slots_) {
        prompt.append(pattern_, at, slot.begin - at).append(texts[slot.text]);
        at = slot.end;
    }
    return prompt.append(pattern_, at);
}

std::optional<bool> parse_verdict(std::string_view said) {
    const Words words = folded_words(said);
    if (!words.empty() && words.front() == "yes") return true;
    if (!words.empty() && words.front() == "no") return false;
    return {};
}

}  // namespace moesweep
