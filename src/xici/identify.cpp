#include "moesweep/xici/identify.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

/// The weights of all sequences as a matrix, a column per expert.
class Weights {
  public:
    explicit Weights(const Captures& captures)
        : captures_(captures), columns_(captures.layers.size() * static_cast<std::size_t>(captures.experts)) {
        if (captures.weights.size() != captures.sequences.size() * columns_)
            fail(Exit::internal, "{} weights of {} sequences and {} experts", captures.weights.size(),
                 captures.sequences.size(), columns_);
    }

    std::size_t columns() const { return columns_; }
    std::span<const float> of(std::size_t sequence) const {
        return captures_.weights.subspan(sequence * columns_, columns_);
    }
    ExpertId expert(std::size_t column) const {
        const auto experts = static_cast<std::size_t>(captures_.experts);
        return {captures_.layers[column / experts], static_cast<std::int32_t>(column % experts)};
    }

  private:
    const Captures& captures_;
    std::size_t columns_;
};

/// Whether each column's expert is blacklisted.
std::vector<bool> blacklisted(const Weights& weights, std::size_t sequences, double top, double share) {
    std::vector<std::size_t> hits(weights.columns()), columns(weights.columns());
    // What rounding takes from 0.29 x 100 must not make it 28.
    const auto most = std::max(std::size_t{1}, static_cast<std::size_t>(top * static_cast<double>(hits.size()) + 1e-9));
    for (std::size_t sequence = 0; sequence < sequences && top > 0; sequence++) {
        const std::span<const float> row = weights.of(sequence);
        std::iota(columns.begin(), columns.end(), std::size_t{0});
        const auto end = columns.begin() + static_cast<std::ptrdiff_t>(most);
        std::nth_element(columns.begin(), end - 1, columns.end(), [row](std::size_t a, std::size_t b) {
            return row[a] > row[b] || (row[a] == row[b] && a < b);
        });
        for (auto column = columns.begin(); column != end; ++column) hits[*column] += row[*column] > 0;
    }
    std::vector<bool> listed(hits.size());
    for (std::size_t column = 0; column < hits.size(); column++)
        listed[column] = static_cast<double>(hits[column]) > share * static_cast<double>(sequences);
    return listed;
}

/// The mean of each column over the sequences of each language, summed in their order.
std::map<std::int32_t, std::vector<double>> language_means(const Weights& weights,
                                                           std::span<const Sequence> sequences) {
    std::map<std::int32_t, std::vector<double>> means;
    std::map<std::int32_t, double> counts;
    for (std::size_t i = 0; i < sequences.size(); i++) {
        std::vector<double>& sum = means[sequences[i].language];
        sum.resize(weights.columns());
        std::ranges::transform(sum, weights.of(i), sum.begin(), std::plus<double>());
        counts[sequences[i].language]++;
    }
    for (auto& [language, sum] : means)
        for (double& value : sum) value /= counts[language];
    return means;
}

/// From the highest value, which has rank 1; equal values share the mean of their ranks.
std::vector<double> ranks(const std::vector<Candidate>& candidates, double Candidate::*value) {
    std::vector<std::size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, std::greater{}, [&](std::size_t i) { return candidates[i].*value; });
    std::vector<double> ranks(order.size());
    for (std::size_t begin = 0, end; begin < order.size(); begin = end) {
        const double shared = candidates[order[begin]].*value;
        for (end = begin; end < order.size() && candidates[order[end]].*value == shared;) end++;
        for (std::size_t i = begin; i < end; i++) ranks[order[i]] = static_cast<double>(begin + 1 + end) / 2;
    }
    return ranks;
}

void rank(std::vector<Candidate>& candidates) {
    const std::vector<double> u = ranks(candidates, &Candidate::u);
    const std::vector<double> difference = ranks(candidates, &Candidate::difference);
    for (std::size_t i = 0; i < candidates.size(); i++) {
        candidates[i].u_rank = u[i];
        candidates[i].difference_rank = difference[i];
    }
    std::ranges::sort(candidates, {}, [](const Candidate& candidate) {
        return std::pair(candidate.u_rank + candidate.difference_rank, candidate.expert);
    });
}

/// A sequence's weights and what is subtracted from them (null: nothing).
struct Row {
    std::span<const float> weights;
    const double* mean = nullptr;
    double operator[](std::size_t column) const { return weights[column] - (mean ? mean[column] : 0.0); }
};

/// Tests the experts of these columns, right answers (the first `right` of the rows) against wrong ones.
void test(QuestionExperts& question, const std::vector<Row>& rows, const std::vector<std::size_t>& columns,
          const Weights& weights, const IdentifyRules& rules) {
    MannWhitney u_test(static_cast<std::size_t>(question.right), static_cast<std::size_t>(question.wrong),
                       rules.keys.p_value);
    std::vector<double> values(rows.size());
    for (const std::size_t column : columns) {
        std::ranges::transform(rows, values.begin(), [column](const Row& row) { return row[column]; });
        const UTest found = u_test(values);
        question.tested++;
        if (!(found.p < rules.keys.alpha)) continue;
        question.significant++;
        if (found.median_difference > rules.tau)
            question.candidates.push_back({weights.expert(column), found.u, found.p, found.median_difference});
    }
    rank(question.candidates);
}

}  // namespace

IdentifyRules identify_rules(const XiciConfig::Identify& keys, const std::vector<bool>& is_moe, bool sigmoid) {
    const auto total = static_cast<std::int32_t>(is_moe.size());
    IdentifyRules rules{keys, {}, keys.tau.value_or(sigmoid ? 0.01 : 0.005)};
    if (keys.layers) {
        rules.layers = keys.layers->of_model(total, "identify.layers");
    } else {
        const auto first = static_cast<std::int32_t>(std::ranges::find(is_moe, true) - is_moe.begin());
        for (std::int32_t layer = first + total / 8; layer < total - total / 8; layer++) rules.layers.push_back(layer);
    }
    std::erase_if(rules.layers, [&](std::int32_t layer) { return !is_moe[static_cast<std::size_t>(layer)]; });
    if (rules.layers.empty())
        fail(Exit::usage, "identify.layers: expected a layer with routed experts, got {}",
             keys.layers ? keys.layers->text() : "auto, which leaves none of this model");
    return rules;
}

std::vector<ExpertId> QuestionExperts::within(std::int64_t cap) const {
    const auto kept = std::min(candidates.size(), static_cast<std::size_t>(cap));
    std::vector<ExpertId> experts;
    for (std::size_t i = 0; i < kept; i++) experts.push_back(candidates[i].expert);
    std::ranges::sort(experts);
    return experts;
}

Identification identify(const Captures& captures, const IdentifyRules& rules) {
    const Weights weights(captures);
    const std::span<const Sequence> sequences = captures.sequences;
    const std::vector<bool> listed =
        blacklisted(weights, sequences.size(), rules.keys.blacklist_top, rules.keys.blacklist_share);
    const auto means =
        rules.keys.subtract_mean ? language_means(weights, sequences) : std::map<std::int32_t, std::vector<double>>();

    Identification found;
    std::vector<std::size_t> columns;  // of the experts that are tested
    for (std::size_t column = 0; column < weights.columns(); column++) {
        const ExpertId expert = weights.expert(column);
        if (listed[column])
            found.blacklist.push_back(expert);
        else if (std::ranges::binary_search(rules.layers, expert.layer))
            columns.push_back(column);
    }

    std::map<std::int32_t, std::vector<std::size_t>> questions;  // and their sequences, right ones first
    for (const bool right : {true, false})
        for (std::size_t i = 0; i < sequences.size(); i++)
            if (sequences[i].right == right) questions[sequences[i].question].push_back(i);

    for (const auto& [number, of_question] : questions) {
        QuestionExperts& question = found.questions.emplace_back();
        question.question = number;
        std::vector<Row> rows;
        for (const std::size_t i : of_question) {
            const auto mean = means.find(sequences[i].language);
            rows.push_back({weights.of(i), mean == means.end() ? nullptr : mean->second.data()});
            ++(sequences[i].right ? question.right : question.wrong);
        }
        if (question.right > 0 && question.wrong > 0) test(question, rows, columns, weights, rules);
    }
    return found;
}

}  // namespace moesweep
