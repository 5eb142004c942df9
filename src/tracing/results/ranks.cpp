#include <algorithm>

#include "results.h"

namespace moesweep {
namespace {

/// The selected expert among all clean-active ones, a case each.
struct Ranks {
    std::vector<double> rank, percentile, spec_all;

    /// Ties share the better rank. `routed` has the expert and at least one other.
    void add(const Routed& routed, std::int32_t expert) {
        const double own = routed.rescue_of(expert);
        const auto others = static_cast<double>(routed.expert.size() - 1);
        double sum_of_others = 0;
        for (std::size_t slot = 0; slot < routed.expert.size(); ++slot) {
            if (routed.expert[slot] != expert) sum_of_others += routed.rescue[slot];
        }
        const auto better =
            static_cast<double>(std::ranges::count_if(routed.rescue, [&](double rescue) { return rescue > own; }));
        rank.push_back(1 + better);
        percentile.push_back(1 - better / others);
        spec_all.push_back(own - sum_of_others / others);
    }

    std::int64_t within(int best) const {
        return std::ranges::count_if(rank, [&](double r) { return r <= best; });
    }
};

}  // namespace

ResultTable ranks_table(const StudyInput& in, const Study& study) {
    ResultTable table{"ranks",
                      "Rank of the selected expert's rescue among all clean-active experts of its layer, and its Spec "
                      "against the mean of all others (eq. 11-13); validation cases where it and another are active",
                      {},
                      {}};
    Ranks ranks;
    if (!note_no_expert(table, study)) {
        for (auto case_index : in.halves.validation) {
            const Routed routed = in.sweep.routed(case_index, study.selected.layer);
            if (routed.has(study.selected.expert) && routed.expert.size() > 1) ranks.add(routed, study.selected.expert);
        }
        if (ranks.rank.empty()) {
            add_note(table, "In no validation case does the clean run route to the selected expert and another one.");
        }
    }
    const auto one = [&]<class T>(T value) { return ranks.rank.empty() ? std::vector<T>{} : std::vector<T>{value}; };
    table.columns = {{"ranked", "", "cases", one(std::ssize(ranks.rank))},
                     {"top1", "", "cases where it ranks first", one(ranks.within(1))},
                     {"top2", "", "cases where it ranks first or second", one(ranks.within(2))},
                     {"mean_rank", "", "1 = best; ties share the better rank", one(mean(ranks.rank))},
                     {"mean_percentile", "", "1 = best, 0 = worst of the case", one(mean(ranks.percentile))}};
    add_summaries(table, "spec_all", one(summarize(ranks.spec_all, in.stats)));
    return table;
}

}  // namespace moesweep
