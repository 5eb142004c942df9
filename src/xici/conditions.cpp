#include "moesweep/xici/conditions.h"

#include <algorithm>
#include <map>
#include <set>

#include "moesweep/base/error.h"
#include "moesweep/stats/python_random.h"

namespace moesweep {
namespace {

/// What a generator is for; random.Random(seed + question + purpose x 2^40), so that no two draw the same numbers.
enum class Purpose : std::int64_t { random_sets = 0, shuffled = 1, same_relation = 2, permuted = 3 };

PythonRandom generator(std::int64_t seed, std::int32_t question, Purpose purpose) {
    return PythonRandom(seed + question + (static_cast<std::int64_t>(purpose) << 40));
}

/// Each question's partner among these, by a derangement; none for a question alone.
std::map<std::int32_t, std::int32_t> partners(const std::vector<std::int32_t>& questions, std::int64_t seed,
                                              Purpose purpose) {
    if (questions.size() < 2) return {};
    PythonRandom random = generator(seed, questions.front(), purpose);
    std::vector<std::int32_t> order = questions;
    const auto keeps_a_place = [&] {
        return !std::ranges::equal(order, questions, [](std::int32_t a, std::int32_t b) { return a != b; });
    };
    do {
        order = questions;
        random.shuffle(order);
    } while (keeps_a_place());
    std::map<std::int32_t, std::int32_t> of;
    for (std::size_t i = 0; i < order.size(); i++) of[questions[i]] = order[i];
    return of;
}

class Builder {
  public:
    Builder(const DatasetExperts& dataset, const IdentifyRules& rules, const XiciConfig::Deactivate& deactivate)
        : dataset_(dataset), rules_(rules), deactivate_(deactivate) {
        if (dataset.relations.size() != dataset.identified.questions.size())
            fail(Exit::internal, "{} relations of {} questions", dataset.relations.size(),
                 dataset.identified.questions.size());
        caps_.insert(rules.keys.cap);
        for (const std::int64_t cap : deactivate.caps.values())
            if (cap > 0) caps_.insert(cap);
        find_partners();
        fill_pool();
    }

    Conditions build() {
        for (const QuestionExperts& question : dataset_.identified.questions) {
            for (const std::int64_t cap : caps_) {
                if (!question.candidates.empty()) add_at_every_cap(question, cap);
                if (cap == rules_.keys.cap) add_at_the_cap(question);
            }
        }
        return std::move(result_);
    }

  private:
    void find_partners() {
        std::vector<std::int32_t> all;
        std::map<std::string, std::vector<std::int32_t>> of_relation;
        for (std::size_t i = 0; i < dataset_.relations.size(); i++) {
            const QuestionExperts& question = dataset_.identified.questions[i];
            if (question.candidates.empty()) continue;
            found_[question.question] = &question;
            all.push_back(question.question);
            if (!dataset_.relations[i].empty()) of_relation[dataset_.relations[i]].push_back(question.question);
        }
        if (deactivate_.shuffled) shuffled_ = partners(all, deactivate_.seed, Purpose::shuffled);
        if (deactivate_.same_relation)
            for (const auto& [relation, questions] : of_relation)
                same_relation_.merge(partners(questions, deactivate_.seed, Purpose::same_relation));
    }

    void fill_pool() {
        for (const std::int32_t layer : rules_.layers)
            for (std::int32_t expert = 0; expert < dataset_.experts; expert++)
                if (const ExpertId id{layer, expert};
                    deactivate_.random_blacklisted || !std::ranges::binary_search(dataset_.identified.blacklist, id))
                    pool_.push_back(id);
    }

    void add(AblationCondition condition, std::vector<ExpertId> experts) {
        const auto [known, is_new] =
            numbers_.try_emplace({condition.question, std::move(experts)}, result_.sets.size());
        if (is_new) result_.sets.push_back({condition.question, known->first.second});
        condition.set = known->second;
        result_.conditions.push_back(condition);
    }

    /// Another question's experts.
    void add_partners(SetKind kind, std::int64_t cap, std::int32_t question,
                      const std::map<std::int32_t, std::int32_t>& partners) {
        if (const auto partner = partners.find(question); partner != partners.end())
            add({kind, cap, 0, question, partner->second}, found_.at(partner->second)->within(cap));
        else if (cap == rules_.keys.cap)
            result_.unpaired.push_back({kind, question});
    }

    void add_at_every_cap(const QuestionExperts& experts, std::int64_t cap) {
        const std::int32_t question = experts.question;
        const std::vector<ExpertId> own = experts.within(cap);
        add({SetKind::identified, cap, 0, question, question}, own);
        PythonRandom random = generator(deactivate_.seed, question, Purpose::random_sets);
        for (std::int32_t draw = 0; draw < deactivate_.draws; draw++) {
            std::vector<ExpertId> drawn;
            for (const std::size_t i : random.sample(pool_.size(), own.size())) drawn.push_back(pool_[i]);
            std::ranges::sort(drawn);
            add({SetKind::random, cap, draw, question, question}, std::move(drawn));
        }
        if (deactivate_.shuffled) add_partners(SetKind::shuffled, cap, question, shuffled_);
    }

    void add_at_the_cap(const QuestionExperts& experts) {
        const std::int64_t cap = rules_.keys.cap;
        const std::int32_t question = experts.question;
        if (deactivate_.same_relation && !experts.candidates.empty())
            add_partners(SetKind::same_relation, cap, question, same_relation_);
        if (deactivate_.permuted && dataset_.permuted) {
            const auto& all = dataset_.permuted->questions;
            const auto chance = std::ranges::find(all, question, &QuestionExperts::question);
            if (chance != all.end() && !chance->candidates.empty())
                add({SetKind::permuted, cap, 0, question, question}, chance->within(cap));
        }
        const auto kept = std::min(static_cast<std::int64_t>(experts.candidates.size()), cap);
        for (std::int32_t place = 0; deactivate_.singles && place < kept; place++)
            add({SetKind::single, cap, place, question, question},
                {experts.candidates[static_cast<std::size_t>(place)].expert});
    }

    const DatasetExperts& dataset_;
    const IdentifyRules& rules_;
    const XiciConfig::Deactivate& deactivate_;
    std::set<std::int64_t> caps_;
    std::map<std::int32_t, const QuestionExperts*> found_;  // the questions that have experts
    std::map<std::int32_t, std::int32_t> shuffled_, same_relation_;
    std::vector<ExpertId> pool_;                                                     // of random sets
    std::map<std::pair<std::int32_t, std::vector<ExpertId>>, std::size_t> numbers_;  // of the sets
    Conditions result_;
};

}  // namespace

std::vector<Sequence> permute_labels(std::vector<Sequence> sequences, std::int64_t seed) {
    std::map<std::int32_t, std::vector<std::size_t>> questions;
    for (std::size_t i = 0; i < sequences.size(); i++) questions[sequences[i].question].push_back(i);
    for (const auto& [question, of_question] : questions) {
        std::vector<char> labels;
        for (const std::size_t i : of_question) labels.push_back(sequences[i].right);
        generator(seed, question, Purpose::permuted).shuffle(labels);
        for (std::size_t i = 0; i < labels.size(); i++) sequences[of_question[i]].right = labels[i];
    }
    return sequences;
}

Conditions conditions(const DatasetExperts& dataset, const IdentifyRules& rules,
                      const XiciConfig::Deactivate& deactivate) {
    return Builder(dataset, rules, deactivate).build();
}

}  // namespace moesweep
