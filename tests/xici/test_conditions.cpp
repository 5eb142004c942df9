#include "moesweep/xici/conditions.h"

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

using namespace moesweep;

namespace {

/// Questions with so many candidates each, from the layer of their number; of one relation.
DatasetExperts dataset(const std::vector<std::size_t>& sizes) {
    DatasetExperts made;
    made.experts = 8;
    for (std::size_t i = 0; i < sizes.size(); i++) {
        QuestionExperts& question = made.identified.questions.emplace_back();
        question.question = static_cast<std::int32_t>(i);
        for (std::size_t place = 0; place < sizes[i]; place++)
            question.candidates.push_back({{question.question, static_cast<std::int32_t>(7 - place)}});
        made.relations.push_back("P36");
    }
    return made;
}

IdentifyRules rules(std::int64_t cap) {
    IdentifyRules rules;
    rules.layers = {0, 1, 2};
    rules.keys.cap = cap;
    return rules;
}

std::vector<AblationCondition> of_kind(const Conditions& all, SetKind kind) {
    std::vector<AblationCondition> found;
    std::ranges::copy_if(all.conditions, std::back_inserter(found),
                         [kind](const auto& one) { return one.kind == kind; });
    return found;
}

}  // namespace

TEST_CASE("a question's own set and its random ones have the same size, and the cap holds") {
    const DatasetExperts found = dataset({3, 0, 1});
    XiciConfig::Deactivate deactivate;
    deactivate.draws = 5;
    const Conditions all = conditions(found, rules(2), deactivate);
    const auto own = of_kind(all, SetKind::identified), random = of_kind(all, SetKind::random);
    REQUIRE(own.size() == 2);  // question 1 has no experts
    CHECK(all.sets[own[0].set].experts == std::vector<ExpertId>{{0, 6}, {0, 7}});
    CHECK(all.sets[own[1].set].experts == std::vector<ExpertId>{{2, 7}});
    REQUIRE(random.size() == 10);
    for (const AblationCondition& one : random) {
        const ExpertSet& set = all.sets[one.set];
        CHECK(set.question == one.question);
        CHECK(set.experts.size() == (one.question == 0 ? 2u : 1u));
        CHECK(std::ranges::is_sorted(set.experts));
        CHECK(std::set(set.experts.begin(), set.experts.end()).size() == set.experts.size());
    }
}

TEST_CASE("random sets leave blacklisted experts out where that is asked, and reach all others") {
    DatasetExperts found = dataset({1});
    for (std::int32_t expert = 0; expert < 8; expert++)
        for (const std::int32_t layer : {0, 2})
            if (expert > 0) found.identified.blacklist.push_back({layer, expert});
    std::ranges::sort(found.identified.blacklist);
    XiciConfig::Deactivate deactivate;
    deactivate.draws = 500;
    const auto drawn = [&](bool blacklisted) {
        deactivate.random_blacklisted = blacklisted;
        const Conditions all = conditions(found, rules(25), deactivate);
        std::set<ExpertId> experts;
        for (const AblationCondition& one : of_kind(all, SetKind::random)) experts.insert(all.sets[one.set].experts[0]);
        return experts;
    };
    CHECK(drawn(true).size() == 24);
    const std::set<ExpertId> others = drawn(false);
    CHECK(others.size() == 10);
    for (const ExpertId& expert : found.identified.blacklist) CHECK(others.count(expert) == 0);
}

TEST_CASE("no question keeps its experts in an exchange, and all exchanges are equally likely") {
    const DatasetExperts found = dataset({1, 1, 1, 1});
    XiciConfig::Deactivate deactivate;
    std::map<std::vector<std::int32_t>, int> seen;
    for (deactivate.seed = 0; deactivate.seed < 900; deactivate.seed++) {
        std::vector<std::int32_t> sources;
        for (const AblationCondition& one : of_kind(conditions(found, rules(25), deactivate), SetKind::shuffled)) {
            CHECK(one.source != one.question);
            sources.push_back(one.source);
        }
        seen[sources]++;
    }
    CHECK(seen.size() == 9);                                                      // derangements of four
    for (const auto& [sources, times] : seen) CHECK(std::abs(times - 100) < 40);  // four standard deviations
}

TEST_CASE("a question that has no other to exchange with is listed") {
    DatasetExperts found = dataset({2, 0, 2, 2});
    found.relations = {"a", "a", "b", "b"};
    XiciConfig::Deactivate deactivate;
    deactivate.same_relation = true;
    const Conditions all = conditions(found, rules(25), deactivate);
    CHECK(of_kind(all, SetKind::shuffled).size() == 3);
    CHECK(of_kind(all, SetKind::same_relation).size() == 2);
    REQUIRE(all.unpaired.size() == 1);
    CHECK(all.unpaired[0].kind == SetKind::same_relation);
    CHECK(all.unpaired[0].question == 0);
    found = dataset({0, 2, 0});
    const Conditions alone = conditions(found, rules(25), deactivate);
    CHECK(of_kind(alone, SetKind::shuffled).empty());
    REQUIRE(alone.unpaired.size() == 2);
    CHECK(alone.unpaired[0].kind == SetKind::shuffled);
    CHECK(alone.unpaired[0].question == 1);
    found.relations.assign(3, "");  // no relation is not a relation
    CHECK(of_kind(conditions(found, rules(25), deactivate), SetKind::same_relation).empty());
}

TEST_CASE("a set that several conditions need is asked once") {
    DatasetExperts found = dataset({1, 1});
    XiciConfig::Deactivate deactivate;
    deactivate.caps = "5,25";
    deactivate.singles = true;
    const Conditions all = conditions(found, rules(25), deactivate);
    CHECK(of_kind(all, SetKind::identified).size() == 4);
    CHECK(of_kind(all, SetKind::random).size() == 4);
    CHECK(of_kind(all, SetKind::single).size() == 2);
    CHECK(all.sets.size() <= 6);  // own, random and the other's, of each
    CHECK(all.conditions.front().set == all.conditions[3].set);
    CHECK(all.conditions.back().set == of_kind(all, SetKind::identified).back().set);
}

TEST_CASE("permuted labels stay with their question, and only a question with both changes") {
    std::vector<Sequence> sequences;
    for (std::int32_t question = 0; question < 50; question++)
        for (std::int32_t language = 0; language < 12; language++)
            sequences.push_back({question, language, question == 1 || (question > 1 && language < question % 12)});
    const std::vector<Sequence> after = permute_labels(sequences, 3);
    REQUIRE(after.size() == sequences.size());
    std::map<std::int32_t, int> right;
    int moved = 0;
    for (std::size_t i = 0; i < after.size(); i++) {
        CHECK(after[i].question == sequences[i].question);
        CHECK(after[i].language == sequences[i].language);
        right[after[i].question] += after[i].right - sequences[i].right;
        moved += after[i].right != sequences[i].right;
    }
    for (const auto& [question, change] : right) CHECK(change == 0);
    CHECK(moved > 100);
    const auto same = [](const Sequence& a, const Sequence& b) { return a.right == b.right; };
    CHECK(std::ranges::equal(after, permute_labels(sequences, 3), same));
    CHECK_FALSE(std::ranges::equal(after, permute_labels(sequences, 4), same));
}
